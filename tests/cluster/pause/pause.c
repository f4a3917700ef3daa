/* Holds a pod's namespaces open: sleeps until told to stop, and reaps what is left to process 1. */
#include <signal.h>
#include <unistd.h>

static void stop(int signal) { (void)signal; _exit(0); }

int main(void) {
    signal(SIGTERM, stop);
    signal(SIGINT, stop);
    signal(SIGCHLD, SIG_IGN); /* ignored children leave no zombie */
    for (;;) pause();
}
