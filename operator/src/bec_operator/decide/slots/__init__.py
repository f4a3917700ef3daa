"""Who may run, and where: the window, fair shares, and the size of the pool."""
