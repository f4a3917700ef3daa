"""The steps. One that a release has had is never changed: who has run it would not see it."""
