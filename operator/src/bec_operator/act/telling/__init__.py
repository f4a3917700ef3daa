"""How people are told, inside the cluster and outside of it."""
