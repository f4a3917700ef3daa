"""What all unit tests share."""

from hypothesis import settings

# A deadline for one example measures the machine's load, not the code; and a run that can be
# repeated is worth more here than other examples each time: those are looked for by hand.
settings.register_profile("unit", deadline=None, derandomize=True)
settings.load_profile("unit")
