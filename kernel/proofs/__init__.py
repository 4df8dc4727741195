"""Proofs about kernel/core, on the typed tree of its source: `python -m kernel.proofs`. See docs/kernel.md, "Proofs".

`proof.py` is what a proof is, `slots.py` the invariant of capability slots; the proofs are in the other files.
"""
