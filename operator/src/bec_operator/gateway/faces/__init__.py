"""Protocols of other systems, as the gateway speaks them: each maps its calls to the six verbs."""
