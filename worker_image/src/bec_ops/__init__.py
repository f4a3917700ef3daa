"""What workers and operator share: volume, output location, success marker, store."""
