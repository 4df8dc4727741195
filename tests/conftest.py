"""For all tests: Hypothesis without a time limit an example. A first call builds what it calls, which takes seconds."""

from hypothesis import settings

settings.register_profile("splax", deadline=None)
settings.load_profile("splax")
