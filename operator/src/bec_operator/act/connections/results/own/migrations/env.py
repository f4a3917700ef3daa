"""Run by alembic for each migration: on the connection that it is given, or as SQL to be read."""

from alembic import context

from bec_operator.act.connections.results.own.head import SCHEMA, VERSIONS

connection = context.config.attributes.get("connection")
context.configure(
    connection=connection,
    dialect_name="postgresql",
    version_table=VERSIONS,
    version_table_schema=SCHEMA,
)
with context.begin_transaction():
    if connection is None:  # as SQL; otherwise it is there
        context.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
    context.run_migrations()
