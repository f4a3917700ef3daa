"""Which state of the tables this operator writes to."""

SCHEMA = "bec_operator"
VERSIONS = "migrations"  # the table of the schema that says which migration was the last
KNOWN = ("0001", "0002", "0003")  # in their order; a test holds them to the files
HEAD = KNOWN[-1]
