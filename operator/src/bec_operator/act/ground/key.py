"""What tells the objects of one kind apart."""

Key = tuple[str, str]  # namespace and name
