"""The front end: from the next PC to a buffer of fetched blocks.

    next PC --> I-cache, I-TLB, BTB, counters (all read at the clock edge) --> hit? taken? --> fetch buffer --> decode
       ^                                                                  |
       +---------------- predicted target, or the next block -------------+

A block is 8 bytes, aligned: up to four compressed instructions. The prediction of a block is ready in the cycle after
its address, and is the address of the next: a taken branch costs no bubble.
"""
