"""Hostile programs, and the honest ones beside which they run: what the first program `hostile` proves on a machine."""
