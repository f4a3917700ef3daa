"""The command `bec-worker`: any program as a worker, and one volume by hand."""
