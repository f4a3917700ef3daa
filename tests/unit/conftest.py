"""What all unit tests share."""

from hypothesis import settings

# A deadline for one example measures the machine's load, not the code.
settings.register_profile("unit", deadline=None)
settings.load_profile("unit")
