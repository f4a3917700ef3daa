#!/usr/bin/env bash
# SQLAlchemy 2.1.9: the first connect() of an engine rolls back what its connection has begun.
#
# An engine can be made over a connection that is open already (`creator=lambda: raw`), for alembic,
# say. When it connects for the first time it looks at the server, and ends that with a rollback on the
# same connection: whatever was done in the transaction before is gone, also locks of the transaction
# and SET LOCAL, and nothing says so. A second connect() of the same engine leaves all as it is.
#
# Seen: SQLAlchemy 2.1.9 on Python 3.11, SQLite in memory (and the same with psycopg 3.3.9 and
# PostgreSQL 15.18, where a CREATE SCHEMA, an advisory lock and time-outs were gone):
#   before: in a transaction: True, rows: 1
#   after the first connect(): in a transaction: False, rows: 0
#   after the second connect(): in a transaction: True, rows: 1
# Consequence for us: `act/connections/results/own/migrating.py` has SQLAlchemy's connection first, and
# begins its transaction then.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet sqlalchemy==2.1.9
cat > "$folder/look.py" <<'PYTHON'
import sqlite3

from sqlalchemy import StaticPool, create_engine

raw = sqlite3.connect(":memory:")
raw.execute("CREATE TABLE volumes (w_id)")
raw.commit()
seen = []


def look(when):
    rows = raw.execute("SELECT count(*) FROM volumes").fetchone()[0]
    seen.append((raw.in_transaction, rows))
    print(f"{when}: in a transaction: {raw.in_transaction}, rows: {rows}")


engine = create_engine("sqlite://", creator=lambda: raw, poolclass=StaticPool)
raw.execute("INSERT INTO volumes VALUES ('W1')")
look("before")
first = engine.connect()
look("after the first connect()")
raw.execute("INSERT INTO volumes VALUES ('W1')")
second = engine.connect()
look("after the second connect()")
assert seen == [(True, 1), (False, 0), (True, 1)], seen
PYTHON
"$folder/venv/bin/python" "$folder/look.py"
echo "as it was seen"
