"""A worker that is not of the cluster: how it is set up, who it is, and how it takes tasks."""
