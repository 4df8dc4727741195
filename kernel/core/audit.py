"""The audit ring: the last creations, derivations, grants, deletions, revocations and denials."""

from kernel.abi import AuditEvent, Error, Kind
from kernel.core import clock
from kernel.core.objects import Slot
from kernel.core.state import AUDIT_ENTRIES, kernel
from kernel.lang import *


@fn
def record(event: AuditEvent, slot: Ptr[Slot], handle: u64, error: Error) -> None:
    """Adds an entry about a capability; the oldest one goes."""
    entry = ptr(kernel.audit[kernel.audit_count % AUDIT_ENTRIES])
    entry.time = clock.now()
    entry.handle = handle
    entry.subject = trunc(some(kernel.current).identifier, u32) if kernel.current is not None else 0
    entry.event = event
    entry.kind = slot.kind
    entry.rights = slot.rights
    entry.error = error
    kernel.audit_count += 1


@fn
def denied(handle: u64, error: Error) -> None:
    """Adds a refusal, and makes it the reason of the failed lookup."""
    kernel.error = error
    entry = ptr(kernel.audit[kernel.audit_count % AUDIT_ENTRIES])
    entry.kind = Kind.EMPTY
    entry.rights = 0
    entry.time = clock.now()
    entry.handle = handle
    entry.subject = trunc(some(kernel.current).identifier, u32) if kernel.current is not None else 0
    entry.event = AuditEvent.DENIED
    entry.error = error
    kernel.audit_count += 1
