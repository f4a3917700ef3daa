"""Whole jobs to run and to learn from."""
