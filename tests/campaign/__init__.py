"""Random scripts through the real `bec-worker exec`, each judged by what it says of itself."""
