"""Who is calling, and whether to listen: tokens, claims, sessions, rates."""
