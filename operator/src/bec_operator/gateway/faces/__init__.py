"""Protocols of other systems, each mapped to the six verbs of the gateway."""
