"""A worker to which a scheduler pushes commands over gRPC: `bec-worker serve`.

Each command has a keeper, a process of its own that outlives the server: what it keeps is in the
job's folder, and a server that starts again reads all it has to know from there.
"""
