"""Does what was decided: pods, VolumeTasks, status, ledger; one bounded way to the API server."""
