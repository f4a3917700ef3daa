"""What binds a worker to where it runs: its environment, the operator, the order to stop."""
