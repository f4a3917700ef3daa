"""Where attempts run: the workers of a pool and the nodes, and which of them are at fault."""
