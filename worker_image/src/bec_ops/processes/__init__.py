"""Programs that a worker runs, what they leave behind, and what they print."""
