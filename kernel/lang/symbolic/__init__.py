"""Runs the typed tree on unknown values, with Z3: one run of a function is one path, and all paths are run.

`values.py` says what a value is, `arithmetic.py` what operators do, `memory.py` how memory is modelled, `execute.py`
walks the tree, `explore.py` goes through all paths and holds the solver. kernel/proofs/ stands on it.
"""

from kernel.lang.symbolic.explore import Explorer, Failed, Panicked, Path, Removed
from kernel.lang.symbolic.values import NULL, Pointer

__all__ = ["NULL", "Explorer", "Failed", "Panicked", "Path", "Pointer", "Removed"]
