"""What makes the tables, step by step; alembic runs it, the operator never does by itself."""
