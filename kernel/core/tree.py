"""The derivation tree of capabilities, threaded so that insertion, removal and move take constant time.

    parent.first -> A <-> B <-> C <- parent.last     A.previous == parent, C.next == parent

A slot is a first child exactly when its previous has it as `first` (a brother cannot: his `first` is a child of his),
and a last child when its next has it as `last`. Only the origin has no previous and no next.
"""

from kernel.core.objects import Slot
from kernel.lang import *

MAX_SIBLINGS = 1 << 20


@fn
def insert_child(parent: Ptr[Slot], child: Ptr[Slot]) -> None:
    """Makes a slot that is in no tree the first child of `parent`."""
    old = parent.first
    child.first = None
    child.last = None
    child.previous = parent
    if old is None:
        child.next = parent
        parent.last = child
    else:
        child.next = old
        some(old).previous = child
    parent.first = child


@fn
def remove(slot: Ptr[Slot]) -> None:
    """Takes a slot out of the tree; its children take its place."""
    before = some(slot.previous)
    after = some(slot.next)
    is_first = before.first == slot
    is_last = after.last == slot
    if slot.first is not None:
        first = some(slot.first)
        last = some(slot.last)
        first.previous = before
        last.next = after
        if is_first:
            before.first = first
        else:
            before.next = first
        if is_last:
            after.last = last
        else:
            after.previous = last
    elif is_first and is_last:
        before.first = None
        before.last = None
    else:
        if is_first:
            before.first = after
        else:
            before.next = after
        if is_last:
            after.last = before
        else:
            after.previous = before
    slot.first = None
    slot.last = None
    slot.next = None
    slot.previous = None


@fn
def replace(old: Ptr[Slot], new: Ptr[Slot]) -> None:
    """Puts `new`, which is in no tree, where `old` is; its children become the new one's."""
    before = some(old.previous)
    after = some(old.next)
    if before.first == old:
        before.first = new
    else:
        before.next = new
    if after.last == old:
        after.last = new
    else:
        after.previous = new
    new.previous = before
    new.next = after
    new.first = old.first
    new.last = old.last
    if old.first is not None:
        some(old.first).previous = new
        some(old.last).next = new
    old.first = None
    old.last = None
    old.next = None
    old.previous = None


@fn
def parent_within(slot: Ptr[Slot], steps: Ptr[u32]) -> Ptr[Slot] | None:
    """The parent, found along the brothers in front; None when that takes more than `steps` (counted down)."""
    here = slot
    while bounded(steps.value > 0, MAX_SIBLINGS):
        steps.value -= 1
        before = some(here.previous)
        if before.first == here:
            return before
        here = before
    return None
