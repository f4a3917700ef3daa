"""What happens in the cluster, taken in: it marks a job as worth a look, and says nothing else."""
