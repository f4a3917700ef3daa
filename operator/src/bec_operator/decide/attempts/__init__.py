"""One task's life, from its first attempt to its end."""
