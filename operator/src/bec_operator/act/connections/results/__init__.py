"""Where results go: tables of a PostgreSQL, and messages of a queue."""
