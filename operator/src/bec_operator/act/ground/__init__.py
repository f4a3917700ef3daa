"""What every action needs: the API server, S3, what is known, the time."""
