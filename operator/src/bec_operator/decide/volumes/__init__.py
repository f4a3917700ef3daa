"""What is known of each volume of a job, whether it has a task or not, in a few bytes each."""
