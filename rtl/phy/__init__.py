"""What touches pins: one file a line or interface, between a device's streams and the board."""
