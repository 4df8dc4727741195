"""Programs to `run`: the smallest ones in Kernel Python and C, one that dies, one that never ends."""
