"""Servers that are not ours, and which Jobs may use: databases and queues."""
