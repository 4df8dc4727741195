"""Capabilities: filling and emptying slots, derive, move, delete, revoke. What user code may do goes through here.

`derive` is the only function that makes a capability out of another one, and it checks that it shrinks.
"""

from kernel.abi import AuditEvent, Error, Kind
from kernel.core import audit, dissolve, lookup, mappings, tree, waiters
from kernel.core.access import has_header, header_of
from kernel.core.objects import LINE, Extent, Place, Slot, Thread
from kernel.core.state import kernel
from kernel.lang import *

STEPS = 16  # of revoke, between two looks at the interrupts


@fn
def fill(slot: Ptr[Slot], parent: Ptr[Slot], kind: Kind, object: usize, size: u8, rights: u8) -> None:
    """Makes an empty slot a capability below `parent`."""
    slot.generation += 1
    slot.kind = kind
    slot.object = object
    slot.size = size
    slot.rights = rights
    slot.badge = 0
    slot.expiry = 0
    tree.insert_child(parent, slot)
    if has_header(kind):
        header = header_of(slot)
        header.references += 1


@fn
def derivable(kind: Kind) -> bool:
    """Whether a second capability to the same thing may exist."""
    return kind != Kind.UNTYPED and kind != Kind.PAGE_TABLE


@fn
def derive(source: Ptr[Slot], slot: Ptr[Slot], rights: u8, badge: u64, expiry: u64) -> Error:
    """Fills `slot` with a capability that allows no more than `source` does."""
    if not derivable(source.kind):
        return Error.NOT_DERIVABLE
    if rights & ~source.rights != 0:
        return Error.DENIED
    if source.expiry != 0 and (expiry == 0 or expiry > source.expiry):
        return Error.DENIED
    given = badge
    if badged(source.kind):
        if source.badge != 0:
            if badge != 0 and badge != source.badge:
                return Error.DENIED
            given = source.badge
    elif badge != 0:
        return Error.OUT_OF_RANGE
    fill(slot, source, source.kind, source.object, source.size, rights)
    slot.badge = given
    slot.expiry = expiry
    return Error.NONE


@fn
def badged(kind: Kind) -> bool:
    """Whether the badge field is the holder's to set, once."""
    return kind == Kind.ENDPOINT or kind == Kind.NOTIFICATION or kind == Kind.CHANNEL


@fn
def move(source: Ptr[Slot], slot: Ptr[Slot]) -> None:
    """Moves a capability to an empty slot: what was derived from it stays so; mapped pages are unmapped."""
    mappings.forget(source)
    relocate(source, slot)
    waiters.capability_ended(slot.kind, slot.object)  # for who waits by it where it was


@fn
def relocate(source: Ptr[Slot], slot: Ptr[Slot]) -> None:
    """Moves a capability that is not mapped."""
    slot.generation += 1
    slot.kind = source.kind
    slot.object = source.object
    slot.size = source.size
    slot.rights = source.rights
    slot.badge = source.badge
    slot.expiry = source.expiry
    tree.replace(source, slot)
    dissolve.clear(source)


@fn
def revoke(slot: Ptr[Slot]) -> Error:
    """Empties every slot that was derived from this one, in steps; RESTART while some are left.

    REVOKED when the slot itself has ended: a step may end the thread that asks, and then the table it has the slot in.
    """
    for _ in range(STEPS):
        if slot.first is None:
            break
        victim = some(slot.first)
        if victim.place == Place.TOMB:
            dissolve.step()
        else:
            dissolve.empty(victim)
    if slot.kind == Kind.EMPTY:
        return Error.REVOKED
    return Error.NONE if slot.first is None else Error.RESTART


# System calls


@fn
def sys_derive(thread: Ptr[Thread]) -> Error:
    """word0: table or 0, word1: slot, word2: rights, word3: badge, word4: expiry. Gives the new handle in word0."""
    words = ptr(thread.frame.words)
    source = lookup.find(thread, thread.frame.handle)
    if source is None:
        return kernel.error
    if words[0] != 0 and some(source).rights & 8 == 0:
        audit.denied(thread.frame.handle, Error.DENIED)
        return Error.DENIED
    slot = lookup.destination(thread, words[0], words[1])
    if slot is None:
        return kernel.error
    if words[2] > 31:
        return Error.OUT_OF_RANGE
    error = derive(some(source), some(slot), trunc(words[2], u8), words[3], words[4])
    if error != Error.NONE:
        audit.denied(thread.frame.handle, error)
        return error
    audit.record(AuditEvent.DERIVED if words[0] == 0 else AuditEvent.GRANTED, some(slot), thread.frame.handle, error)
    words[0] = lookup.handle_of(some(slot), words[1])
    return Error.NONE


@fn
def sys_move(thread: Ptr[Thread]) -> Error:
    """word0: table or 0, word1: slot. Gives the new handle in word0."""
    words = ptr(thread.frame.words)
    source = lookup.find(thread, thread.frame.handle)
    if source is None:
        return kernel.error
    if words[0] != 0 and some(source).rights & 8 == 0:
        audit.denied(thread.frame.handle, Error.DENIED)
        return Error.DENIED
    slot = lookup.destination(thread, words[0], words[1])
    if slot is None:
        return kernel.error
    move(some(source), some(slot))
    audit.record(AuditEvent.MOVED, some(slot), thread.frame.handle, Error.NONE)
    words[0] = lookup.handle_of(some(slot), words[1])
    return Error.NONE


@fn
def sys_delete(thread: Ptr[Thread]) -> Error:
    """Empties the slot; expired capabilities can be deleted too."""
    slot = lookup.find_dead(thread, thread.frame.handle)
    if slot is None:
        return kernel.error
    audit.record(AuditEvent.DELETED, some(slot), thread.frame.handle, Error.NONE)
    dissolve.empty(some(slot))
    dissolve.step()
    return Error.NONE


@fn
def sys_revoke(thread: Ptr[Thread]) -> Error:
    """Kills everything that was derived from the capability."""
    slot = lookup.find(thread, thread.frame.handle)
    if slot is None:
        return kernel.error
    if some(slot).rights & 16 == 0:
        audit.denied(thread.frame.handle, Error.DENIED)
        return Error.DENIED
    error = revoke(some(slot))
    if error == Error.NONE:
        audit.record(AuditEvent.REVOKED, some(slot), thread.frame.handle, Error.NONE)
    return error


@fn
def sys_inspect(thread: Ptr[Thread]) -> Error:
    """word0: table or 0, for the own one; word1: 0, or 1 + the slot of a table in that table. The handle names a slot
    of it, and `index` with generation 0 names what is there now. word2: 0, or how many steps up the delegation chain
    from there the one is that is meant; OUT_OF_RANGE: it is not so long.

    Gives word0: kind, word1: rights, word2: badge, or of an untyped the bytes that are used, word3: expiry, word4: log2
    of size, word5: depth of the delegation chain above it (at most 255), word6: 1 when something was derived from it,
    word7: the handle, of what was named. number: Place, and above 8 bits a number that no other slot has.
    """
    words = ptr(thread.frame.words)
    slot = lookup.inspected(thread)
    if slot is None:
        return kernel.error
    handle = u64(some(slot).generation) << 32 | thread.frame.handle & 0xFFFF_FFFF
    above = ancestor(some(slot), words[2])
    if above is None:
        return kernel.error
    found = some(above)
    words[0] = u64(found.kind)
    words[1] = u64(found.rights)
    words[2] = found.badge if badged(found.kind) else 0
    if found.kind == Kind.UNTYPED and found.first is not None:
        words[2] = u64(Extent(found.badge).used) * LINE
    words[3] = found.expiry
    words[4] = u64(found.size)
    words[5] = chain_length(found)
    words[6] = 1 if found.first is not None else 0
    words[7] = handle
    thread.frame.number = u64(address_of(found)) // LINE << 8 | u64(found.place)
    return Error.NONE


@fn
def ancestor(slot: Ptr[Slot], up: u64) -> Ptr[Slot] | None:
    """The capability so many steps up the delegation chain; None, and kernel.error, at the origin, or when finding it
    takes more than a fixed number of steps."""
    steps: u32 = 4096
    here: Ptr[Slot] | None = slot
    for _ in bounded(range(min(up, 255)), 255):
        if here is not None and some(here).place != Place.ORIGIN:
            here = tree.parent_within(some(here), ptr(steps))
    if here is None:
        kernel.error = Error.LIMIT
    elif up > 255 or some(here).place == Place.ORIGIN:
        kernel.error = Error.OUT_OF_RANGE
        return None
    return here


@fn
def chain_length(slot: Ptr[Slot]) -> u64:
    """How many capabilities stand between this one and the origin, counted within a fixed number of steps."""
    steps: u32 = 4096
    here: Ptr[Slot] | None = slot
    count: u64 = 0
    for _ in range(255):
        if here is None or some(here).place == Place.ORIGIN:
            return count
        here = tree.parent_within(some(here), ptr(steps))
        count += 1
    return count
