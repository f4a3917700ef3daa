"""What is done about a pool: its Deployment, and what is seen of its workers."""
