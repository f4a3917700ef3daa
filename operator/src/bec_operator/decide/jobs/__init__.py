"""The whole job: what is to be done about it now, and what is told of it."""
