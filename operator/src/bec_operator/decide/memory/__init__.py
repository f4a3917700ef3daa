"""What is remembered of a job between two passes, and how it takes in what is new."""
