"""What a job waits for of others: that they end, or do a volume first."""
