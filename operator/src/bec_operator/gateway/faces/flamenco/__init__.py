"""Flamenco 2: what an unchanged Flamenco Worker asks of its Manager."""
