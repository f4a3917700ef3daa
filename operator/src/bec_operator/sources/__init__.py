"""Where the volumes of a job come from."""
