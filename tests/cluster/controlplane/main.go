// Command controlplane is etcd, the Kubernetes control plane, and the node's kubelet and kube-proxy
// in one program: the first argument chooses the component, the others are the component's own.
//
// The components share most of their code, so one binary is a third of the size, and of the build,
// of six.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"
	kubeapiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
)

var commands = map[string]func() *cobra.Command{
	"kube-apiserver":          kubeapiserver.NewAPIServerCommand,
	"kube-controller-manager": controllermanager.NewControllerManagerCommand,
	"kube-scheduler":          func() *cobra.Command { return scheduler.NewSchedulerCommand() },
	"kube-proxy":              proxy.NewProxyCommand,
	"kubelet":                 func() *cobra.Command { return kubelet.NewKubeletCommand(context.Background()) },
}

func main() {
	if len(os.Args) < 2 {
		fail("no component named")
	}
	// The components read os.Args themselves, and expect their own name first.
	os.Args = os.Args[1:]
	if os.Args[0] == "etcd" {
		etcdmain.Main(os.Args)
		return
	}
	command, known := commands[os.Args[0]]
	if !known {
		fail("unknown component " + os.Args[0])
	}
	os.Exit(cli.Run(command()))
}

func fail(problem string) {
	fmt.Fprintln(os.Stderr, problem+
		": the first argument must be etcd, kube-apiserver, kube-controller-manager, "+
		"kube-scheduler, kubelet or kube-proxy")
	os.Exit(2)
}
