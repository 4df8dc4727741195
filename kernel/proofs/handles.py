"""The checks that stand between what a process writes into a register and a capability: `find` and `lookup`, the fast
path's own, and the one of a waiter's capability when it is served."""

from typing import Any

import z3

from kernel.abi import Error, Kind, ThreadState
from kernel.core import fastpath, ipc, lookup, machine, scheduler
from kernel.core.objects import Slot, Table, Thread
from kernel.lang import Ptr, u8, u64
from kernel.lang.symbolic import Path, Pointer
from kernel.lang.symbolic.memory import field
from kernel.proofs.proof import Removed, hardware, host, proof, without_audit
from kernel.proofs.slots import HIGHEST, Clause, Slots

THREAD_POINTER: Any = Ptr[Thread]
SLOT: Any = Slot
TABLE: Any = Table
THREAD: Any = Thread
KIND: Any = Kind
SLOT_BYTES = 64


class Naming:
    """What it means that a handle of a thread names a slot, in the state that the path starts with."""

    def __init__(self, path: Path, thread: Pointer):
        self.slots = Slots(path.memory.copy())
        own = field(thread, "table")
        memory = self.slots.memory
        self.table = memory.load(field(own, "object"))
        path.assume(z3.And(self.table != 0, z3.ULT(self.table, HIGHEST)))
        self.count = memory.load(field(Pointer(self.table, TABLE, None, self.table), "count"))
        path.assume(z3.ULE(self.count, 4096))
        self.has_table = memory.load(field(own, "kind")) == int(Kind.TABLE)

    def clauses(self, handle: Any, slot: Any) -> list[Clause]:
        """Whether it is this slot, in its present life."""
        index = handle & 0xFFFF_FFFF
        return [
            ("the thread has a table", self.has_table),
            ("the index is in it", z3.ULT(index, z3.ZeroExt(32, self.count))),
            ("it is the slot with that index", slot == self.table + TABLE.size + index * SLOT_BYTES),
            ("the handle is of the slot's present life",
             z3.Extract(63, 32, handle) == self.slots.get(slot, "generation")),
            ("the slot is not empty", self.slots.get(slot, "kind") != int(Kind.EMPTY)),
        ]  # fmt: skip


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
    reaches=["passed", "refused"],
)
def no_bad_handle_passes(path: Path) -> None:
    """For every thread, every 64-bit handle, every kind and every set of rights, in every state of all slots."""
    hardware(path)
    without_audit(path)
    thread, handle = path.unknown(THREAD_POINTER, "thread"), path.unknown(u64, "handle")
    kind, rights = path.unknown(KIND, "kind"), path.unknown(u8, "rights")
    naming = Naming(path, thread)
    slots = naming.slots
    found = path.call(lookup.lookup, thread, handle, kind, rights)
    if not path.decide(found.address != 0):
        path.reach("refused")
        return
    path.reach("passed")
    slot = found.address
    expiry = slots.get(slot, "expiry")
    path.prove_each([
        *naming.clauses(handle, slot),
        ("its time is not over", z3.Or(expiry == 0, z3.ULT(path.now, expiry) if path.now is not None else False)),
        ("it is of the kind asked for", slots.get(slot, "kind") == kind),
        ("it has the rights asked for", slots.get(slot, "rights") & rights == rights),
        ("looking changes no slot", slots.same_as(path.memory)),
    ])  # fmt: skip


NAMED_CHECKS = [
    Removed(fastpath.named, "thread.table.kind != Kind.TABLE"),
    Removed(fastpath.named, "index >= u64(table.count)"),
    Removed(fastpath.named, "u64(slot.generation) != handle >> 32"),
    Removed(fastpath.named, "slot.rights & right == 0"),
    Removed(fastpath.named, "slot.expiry != 0"),
]


def show_named_endpoint(path: Path, naming: Naming, handle: Any, slot: Any, right: int) -> None:
    """The fast path's capability: what `lookup` would have given, and one without an end."""
    slots = naming.slots
    path.prove_each([
        *naming.clauses(handle, slot),
        ("it is to an endpoint", slots.get(slot, "kind") == int(Kind.ENDPOINT)),
        ("it has the right", slots.get(slot, "rights") & right == right),
        ("its time is not over, at any time", slots.get(slot, "expiry") == 0),
    ])  # fmt: skip


def fast(path: Path) -> tuple[Pointer, Naming, Any]:
    """Any thread, with any registers, in any state of memory: (thread, naming, its handle)."""
    hardware(path)
    path.contracts[host(machine.set_translation)] = lambda path, translation: translation
    thread = path.unknown(THREAD_POINTER, "thread")
    naming = Naming(path, thread)
    return thread, naming, naming.slots.memory.load(field(field(thread, "frame"), "handle"))


@proof(
    "a bad handle never passes the fast path of call, nor does a receiver whose own is bad",
    fastpath.call,
    depends=[
        *NAMED_CHECKS,
        Removed(fastpath.call, "slot.kind != Kind.ENDPOINT"),
        Removed(fastpath.waiter_of, "waiter.waiting_slot is None"),
        Removed(fastpath.waiter_of, "its.generation != waiter.waiting_generation"),
        Removed(fastpath.waiter_of, "its.kind != kind"),
        Removed(fastpath.waiter_of, "its.expiry != 0"),
        Removed(fastpath.hand_call_over, "receiver.caller = thread"),
    ],
    reaches=["passed", "refused"],
)
def no_bad_handle_passes_fast_call(path: Path) -> None:
    """A call that is made has WRITE on its endpoint, and the receiver waits by a capability that it still has. It is
    another thread, since one that runs waits by nothing, and it owes the caller an answer."""
    thread, naming, handle = fast(path)
    before = naming.slots.memory
    path.assume(before.load(field(thread, "waiting_slot")).address == 0)
    receiver = path.call(fastpath.call, thread)
    if not path.decide(receiver.address != 0):
        path.reach("refused")
        path.prove(before.same_as(path.memory), "a refusal changes nothing")
        return
    path.reach("passed")
    slot = naming.table + TABLE.size + (handle & 0xFFFF_FFFF) * SLOT_BYTES
    show_named_endpoint(path, naming, handle, slot, 2)
    waiting = before.load(field(receiver, "waiting_slot")).address
    slots = naming.slots
    path.prove_each([
        ("the receiver waits by a capability", waiting != 0),
        ("which is in the life it was in when it began to wait",
         slots.get(waiting, "generation") == before.load(field(receiver, "waiting_generation"))),
        ("to an endpoint", slots.get(waiting, "kind") == int(Kind.ENDPOINT)),
        ("without an end", slots.get(waiting, "expiry") == 0),
        ("it is another thread", receiver.address != thread.address),
        ("it owes the caller an answer", path.memory.load(field(receiver, "caller")).address == thread.address),
        ("which the caller waits for", path.memory.load(field(thread, "server")).address == receiver.address),
        ("no slot has changed", slots.same_as(path.memory)),
    ])  # fmt: skip


@proof(
    "a bad handle never passes the fast path of reply-and-receive",
    fastpath.reply_receive,
    depends=[
        *NAMED_CHECKS,
        Removed(fastpath.reply_receive, "slot.kind != Kind.ENDPOINT"),
        Removed(fastpath.reply_receive, "thread.caller is None"),
        Removed(fastpath.reply_receive, "thread.caller = None"),
        Removed(fastpath.reply_receive, "caller.server = None"),
    ],
    reaches=["passed", "refused"],
)
def no_bad_handle_passes_fast_reply(path: Path) -> None:
    """A server that begins to wait has READ on its endpoint; whom it answers is another thread, which waited for that,
    and the right to answer is used up. (Who waits for an answer does not run.)"""
    thread, naming, handle = fast(path)
    before = naming.slots.memory
    owed = before.load(field(thread, "caller"))
    path.assume(before.load(field(thread, "state")) == int(ThreadState.READY))
    path.assume(z3.Implies(owed.address != 0, before.load(field(owed, "state")) == int(ThreadState.CALLING)))
    caller = path.call(fastpath.reply_receive, thread)
    if not path.decide(caller.address != 0):
        path.reach("refused")
        path.prove(before.same_as(path.memory), "a refusal changes nothing")
        return
    path.reach("passed")
    slot = naming.table + TABLE.size + (handle & 0xFFFF_FFFF) * SLOT_BYTES
    show_named_endpoint(path, naming, handle, slot, 1)
    path.prove_each([
        ("who goes on is who waited for the answer", z3.And(caller.address == owed.address, owed.address != 0)),
        ("it is another thread", caller.address != thread.address),
        ("the right to answer is used up", z3.And(
            path.memory.load(field(thread, "caller")).address == 0,
            path.memory.load(field(caller, "server")).address == 0)),
        ("it waits by this capability", path.memory.load(field(thread, "waiting_slot")).address == slot),
        ("in its present life",
         path.memory.load(field(thread, "waiting_generation")) == naming.slots.get(slot, "generation")),
        ("no slot has changed", naming.slots.same_as(path.memory)),
    ])  # fmt: skip


@proof(
    "a waiter whose capability has ended or expired is not served",
    ipc.live,
    depends=[
        Removed(ipc.live, "slot.kind == Kind.EMPTY"),
        Removed(ipc.live, "slot.generation != thread.waiting_generation"),
        Removed(ipc.live, "lookup.expired(slot)"),
    ],
    reaches=["served", "not served"],
)
def no_bad_waiter_is_served(path: Path) -> None:
    """Of a thread that waits by any capability, in any state of all slots."""
    hardware(path)
    slots = Slots(path.memory.copy())
    thread = path.unknown(THREAD_POINTER, "thread")
    waiting = slots.memory.load(field(thread, "waiting_slot")).address
    path.assume(waiting != 0)
    why = path.call(ipc.live, thread)
    if path.decide(why != int(Error.NONE)):
        path.reach("not served")
        return
    path.reach("served")
    expiry = slots.get(waiting, "expiry")
    path.prove_each([
        ("the capability is in the life it was in when it began to wait",
         slots.get(waiting, "generation") == slots.memory.load(field(thread, "waiting_generation"))),
        ("the slot is not empty", slots.get(waiting, "kind") != int(Kind.EMPTY)),
        ("its time is not over", z3.Or(expiry == 0, z3.ULT(path.now, expiry) if path.now is not None else False)),
    ])  # fmt: skip


@proof(
    "a bad handle never passes the fast path of notify, nor does a waiter whose own is bad",
    fastpath.notify,
    depends=[
        *NAMED_CHECKS,
        Removed(fastpath.notify, "slot.kind != Kind.NOTIFICATION"),
        Removed(fastpath.waiter_of, "its.generation != waiter.waiting_generation"),
        Removed(fastpath.waiter_of, "its.kind != kind"),
        Removed(fastpath.waiter_of, "its.expiry != 0"),
    ],
    reaches=["passed", "refused"],
)
def no_bad_handle_passes_fast_notify(path: Path) -> None:
    """Who notifies has WRITE on the notification, and the waiter waits by a capability that it still has."""
    thread, naming, handle = fast(path)
    path.contracts[scheduler.program_timer] = lambda path: None  # it only tells the timer
    before = naming.slots.memory
    waiter = path.call(fastpath.notify, thread)
    if not path.decide(waiter.address != 0):
        path.reach("refused")
        path.prove(before.same_as(path.memory), "a refusal changes nothing")
        return
    path.reach("passed")
    slots = naming.slots
    slot = naming.table + TABLE.size + (handle & 0xFFFF_FFFF) * SLOT_BYTES
    waiting = before.load(field(waiter, "waiting_slot")).address
    path.prove_each([
        *naming.clauses(handle, slot),
        ("it is to a notification", slots.get(slot, "kind") == int(Kind.NOTIFICATION)),
        ("it has the right", slots.get(slot, "rights") & 2 == 2),
        ("its time is not over, at any time", slots.get(slot, "expiry") == 0),
        ("the waiter waits by a capability", waiting != 0),
        ("which is in the life it was in when it began to wait",
         slots.get(waiting, "generation") == before.load(field(waiter, "waiting_generation"))),
        ("to a notification", slots.get(waiting, "kind") == int(Kind.NOTIFICATION)),
        ("without an end", slots.get(waiting, "expiry") == 0),
        ("no slot has changed", slots.same_as(path.memory)),
    ])  # fmt: skip


@proof(
    "a new capability goes into an empty slot",
    lookup.destination,
    fastpath.free_slot,
    depends=[
        Removed(lookup.empty_slot, "index >= u64(table.count)"),
        Removed(lookup.empty_slot, "slot.kind != Kind.EMPTY"),
        Removed(lookup.empty_slot, "slot.generation == 0xFFFF_FFFF"),
        Removed(fastpath.free_slot, "index >= u64(table.count)"),
        Removed(fastpath.free_slot, "slot.kind != Kind.EMPTY"),
        Removed(fastpath.free_slot, "slot.generation == 0xFFFF_FFFF"),
    ],
    reaches=["found", "found fast", "refused"],
)
def new_capabilities_go_into_empty_slots(path: Path) -> None:
    """What `destination` gives of the thread's own table (handle 0), and the fast paths' `free_slot`."""
    hardware(path)
    without_audit(path)
    thread, index = path.unknown(THREAD_POINTER, "thread"), path.unknown(u64, "index")
    naming = Naming(path, thread)
    slots = naming.slots
    if path.choose("fast"):
        found, label = path.call(fastpath.free_slot, thread, index), "found fast"
    else:
        found, label = path.call(lookup.destination, thread, z3.BitVecVal(0, 64), index), "found"
    if not path.decide(found.address != 0):
        path.reach("refused")
        return
    path.reach(label)
    slot = found.address
    path.prove_each([
        ("the index is in the table", z3.ULT(index, z3.ZeroExt(32, naming.count))),
        ("it is the slot with that index", slot == naming.table + TABLE.size + index * SLOT_BYTES),
        ("it is empty", slots.get(slot, "kind") == int(Kind.EMPTY)),
        ("it is not worn out", slots.get(slot, "generation") != 0xFFFF_FFFF),
        ("looking changes no slot", slots.same_as(path.memory)),
    ])  # fmt: skip
