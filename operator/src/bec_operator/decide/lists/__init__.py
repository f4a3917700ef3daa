"""The list of volumes while the job runs: it grows, messages come, versions are found."""
