"""Results in the tables of an existing BEC installation, as its own tools read them."""
