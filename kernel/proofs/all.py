"""All proofs: importing this module registers them."""

from kernel.proofs import derive, handles
from kernel.proofs.proof import PROOFS

__all__ = ["PROOFS", "derive", "handles"]
