"""What is read from S3 and ConfigMaps, and written to them."""
