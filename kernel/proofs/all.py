"""All proofs: importing this module registers them."""

from kernel.proofs import derive, handles, retype, revoke
from kernel.proofs.proof import PROOFS

__all__ = ["PROOFS", "derive", "handles", "retype", "revoke"]
