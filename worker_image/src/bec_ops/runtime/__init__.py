"""How tasks are run in a worker, from the first look at its volume to the marker."""
