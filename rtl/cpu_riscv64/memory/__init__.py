"""The data side: cache, store buffer, line transfers, and the unit that executes loads and stores in the M stage.

X: address --> D-TLB; D-cache arrays (read at the clock edge)
M: hit --> data in the same cycle;  a store --> store buffer --> D-cache, later
   anything else --> the sequencer in `unit`, one step at a time, then the lookup is repeated
"""
