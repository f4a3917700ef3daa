"""The BEC operator."""
