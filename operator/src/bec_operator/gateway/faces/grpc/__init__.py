"""The protocol `jobscheduler` over gRPC: workers to whom work is pushed, and who asks for it."""
