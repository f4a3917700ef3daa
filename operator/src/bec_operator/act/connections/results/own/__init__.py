"""Tables of our own for results, in the PostgreSQL schema `bec_operator`."""
