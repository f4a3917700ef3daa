"""How each kind of database is opened for reading, and what its errors mean."""
