"""Interconnect: AXI4 between blocks, a plain register bus below the peripheral bridge."""
