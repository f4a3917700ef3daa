"""ReefGuide's protocol: its workers log in, poll for jobs, have one assigned, and post a result."""
