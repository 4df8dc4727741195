"""`find` and `lookup`: the check that stands between what a process writes into a register and a capability."""

from typing import Any

import z3

from kernel.abi import Kind
from kernel.core import lookup
from kernel.core.objects import Slot, Table, Thread
from kernel.lang import Ptr, u8, u64
from kernel.lang.symbolic import Path, Pointer
from kernel.lang.symbolic.memory import field
from kernel.proofs.proof import Removed, hardware, proof, without_audit
from kernel.proofs.slots import Slots

THREAD_POINTER: Any = Ptr[Thread]
SLOT: Any = Slot
TABLE: Any = Table
KIND: Any = Kind
SLOT_BYTES = 64
HIGHEST = 0xFFFF_FF00_0000_0000  # where no table can end: 4,096 slots are 256 KiB


@proof(
    "a stale, deleted, foreign or expired handle never passes",
    lookup.lookup,
    depends=[
        Removed(lookup.find_dead, "u64(slot.generation) != handle >> 32"),
        Removed(lookup.find_dead, "slot.kind == Kind.EMPTY"),
        Removed(lookup.find_dead, "index >= u64(some(table).count)"),
        Removed(lookup.own_table, "thread.table.kind != Kind.TABLE"),
        Removed(lookup.find, "expired(some(slot))"),
        Removed(lookup.lookup, "some(slot).kind != kind"),
        Removed(lookup.lookup, "some(slot).rights & rights != rights"),
    ],
)
def no_bad_handle_passes(path: Path) -> None:
    """For every thread, every 64-bit handle, every kind and every set of rights, in every state of all slots."""
    hardware(path)
    without_audit(path)
    before = path.memory.copy()
    slots = Slots(before)
    thread, handle = path.unknown(THREAD_POINTER, "thread"), path.unknown(u64, "handle")
    kind, rights = path.unknown(KIND, "kind"), path.unknown(u8, "rights")
    own = field(thread, "table")
    table = before.load(field(own, "object"))
    path.assume(z3.And(table != 0, z3.ULT(table, HIGHEST)))
    count = before.load(field(Pointer(table, TABLE, None, table), "count"))
    path.assume(z3.ULE(count, 4096))
    found = path.call(lookup.lookup, thread, handle, kind, rights)
    if not path.decide(found.address != 0):
        path.reach("refused")
        return
    path.reach("passed")
    slot, index = found.address, handle & 0xFFFF_FFFF
    expiry = slots.get(slot, "expiry")
    path.prove_each([
        ("the thread has a table", before.load(field(own, "kind")) == int(Kind.TABLE)),
        ("the index is in it", z3.ULT(index, z3.ZeroExt(32, count))),
        ("it is the slot with that index", slot == table + TABLE.size + index * SLOT_BYTES),
        ("the handle is of the slot's present life", z3.Extract(63, 32, handle) == slots.get(slot, "generation")),
        ("the slot is not empty", slots.get(slot, "kind") != int(Kind.EMPTY)),
        ("its time is not over", z3.Or(expiry == 0, z3.ULT(path.now, expiry) if path.now is not None else False)),
        ("it is of the kind asked for", slots.get(slot, "kind") == kind),
        ("it has the rights asked for", slots.get(slot, "rights") & rights == rights),
        ("looking changes no slot", slots.same_as(path.memory)),
    ])  # fmt: skip
