"""All proofs: importing this module registers them."""

from kernel.proofs import changes, derive, handles, retype, revoke
from kernel.proofs.proof import PROOFS

__all__ = ["PROOFS", "changes", "derive", "handles", "retype", "revoke"]
