"""What is done in the cluster: pods, VolumeTasks, statuses, Events."""
