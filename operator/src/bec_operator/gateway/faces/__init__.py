"""Protocols of other systems: each maps its calls to the verbs of the gateway."""
