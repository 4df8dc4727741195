"""`revoke`: after it completes, no descendant is usable."""

from typing import Any

import z3

from kernel.abi import Error
from kernel.core import capabilities, dissolve, fastpath, ipc, lookup
from kernel.lang import u8, u64
from kernel.lang.symbolic import Path, Pointer
from kernel.lang.symbolic.memory import field
from kernel.proofs.handles import SLOT_BYTES, TABLE, THREAD_POINTER, Naming
from kernel.proofs.moments import SLOT, Moments, keeps, shrinks
from kernel.proofs.proof import Removed, hardware, proof, without_audit
from kernel.proofs.slots import SLOT_POINTER, Ghosts, Slots


def another_moment(path: Path, when: str) -> Slots:
    """All slots at a moment before or after the path."""
    memory = path.memory.copy()
    for name in SLOT.fields:
        memory.havoc((SLOT, name), f"Slot.{name} ({when})")
    return Slots(memory, Ghosts.unknown(f" ({when})"))


def operations_compose(path: Path, a: Slots, c: Slots) -> None:
    """Goals: what holds of each operation holds of any number of them."""
    b, x = another_moment(path, "between"), path.unknown(SLOT_POINTER, "any slot").address
    for relation in (keeps, shrinks):
        both = z3.And(relation(a, b, x), relation(b, c, x))
        path.prove(z3.Implies(both, relation(a, c, x)), f"{relation.__name__} of two operations is of both together")
    path.prove(z3.Implies(shrinks(a, c, x), keeps(a, c, x)), "what only ends capabilities keeps all others")


@proof(
    "after revoke completes no descendant is usable",
    capabilities.sys_revoke,
    lookup.find,
    fastpath.named,
    ipc.live,
    lookup.own_table,
    depends=[
        Removed(capabilities.revoke, "slot.first is None", True),
        Removed(capabilities.revoke, "slot.kind == Kind.EMPTY"),
        Removed(capabilities.revoke, "victim.place == Place.TOMB"),
        Removed(capabilities.sys_revoke, "some(slot).rights & 16 == 0"),
        Removed(lookup.find_dead, "u64(slot.generation) != handle >> 32"),
        Removed(lookup.find_dead, "slot.kind == Kind.EMPTY"),
        Removed(fastpath.named, "u64(slot.generation) != handle >> 32"),
        Removed(fastpath.named, "slot.kind == Kind.EMPTY"),
        Removed(ipc.live, "slot.generation != thread.waiting_generation"),
        Removed(ipc.live, "slot.kind == Kind.EMPTY"),
        Removed(lookup.own_table, "thread.table.kind != Kind.TABLE"),
    ],
    reaches=[
        "refused",
        "to be continued",
        "completed",
        "a handle passes",
        "the fast path",
        "a waiter",
        "a thread's table",
    ],
)
def no_descendant_is_usable(path: Path) -> None:
    """Four moments. `begun`: the handle names r, and y descends from it. After any operations, among them pieces of the
    revocation, the path begins with the last piece of the call. It completes. After any operations, y is looked for by
    all that finds capabilities.
    """
    hardware(path)
    without_audit(path)
    begun, later = another_moment(path, "begun"), another_moment(path, "later")
    operations_compose(path, begun, later)
    moments = Moments(path)
    thread = path.unknown(THREAD_POINTER, "thread")
    naming = Naming(path, thread)
    handle = naming.slots.memory.load(field(field(thread, "frame"), "handle"))
    r = z3.simplify(naming.table + TABLE.size + (handle & 0xFFFF_FFFF) * SLOT_BYTES)
    y = path.unknown(SLOT_POINTER, "descendant").address
    life = begun.get(y, "generation")
    path.assume(z3.And(begun.usable(r), begun.get(r, "generation") == z3.Extract(63, 32, handle)))
    path.assume(z3.And(begun.usable(y), begun.inside(y, r)))
    for moment, slot in ((begun, r), (begun, y), (later, y)):
        path.assume(z3.And([clause for _, clause in moment.single(slot)]))
    path.assume(z3.And(keeps(begun, moments.first, r), keeps(begun, moments.first, y)))

    def empty(path: Any, victim: Pointer) -> None:
        v = victim.address
        path.prove_each([
            ("what is emptied is a capability", moments.now.usable(v)),
            ("what is emptied descends from the one that is revoked", moments.now.inside(v, r)),
        ])  # fmt: skip
        after = moments.after(dissolve.empty, shrinks)
        path.assume(z3.Not(after.usable(v)))

    def step(path: Any) -> None:
        moments.after(dissolve.step, shrinks)

    def rounds(path: Any, frame: Any, known: bool) -> None:
        if known:
            moments.next(shrinks, moments.first)
            moments.about(r, y)
            return
        moments.check()
        moments.about(r, y)
        for slot in (r, y):
            path.prove(shrinks(moments.first, moments.now, slot), "rounds only end capabilities")

    path.contracts |= {dissolve.empty: empty, dissolve.step: step}
    path.cuts[capabilities.revoke] = rounds
    error = path.call(capabilities.sys_revoke, thread)
    if not path.decide(error == int(Error.NONE)):
        path.reach("to be continued" if path.decide(error == int(Error.RESTART)) else "refused")
        return
    path.reach("completed")
    end = moments.now
    moments.about(r, y)
    z = path.unknown(SLOT_POINTER, "any slot").address
    for slot in (r, y, z):
        path.see(SLOT, slot)
    moments.invariant.assume_pairs([r, y])
    moments.invariant.assume_pairs([r, z])
    path.prove_each([
        ("the capability was one to revoke by", moments.first.get(r, "rights") & 16 == 16),
        ("what is revoked is still there",
         z3.And(end.usable(r), end.get(r, "generation") == begun.get(r, "generation"))),
        ("nothing descends from it, no tomb either", z3.Not(z3.And(end.live(z), end.inside(z, r)))),
        ("the descendant has ended", z3.Not(z3.And(end.usable(y), end.get(y, "generation") == life))),
    ])  # fmt: skip
    path.assume(keeps(end, later, y))
    path.memory = later.memory
    somebody, any_handle = path.unknown(THREAD_POINTER, "somebody"), path.unknown(u64, "any handle")
    if path.choose("by a handle"):
        Naming(path, somebody)
        found = path.call(lookup.find, somebody, any_handle)
        if path.decide(found.address != 0):
            path.reach("a handle passes")
            path.prove(found.address != named(y, life, any_handle), "no handle of that life finds it")
    elif path.choose("by the fast path"):
        Naming(path, somebody)
        found = path.call(fastpath.named, somebody, any_handle, path.unknown(u8, "right"))
        if path.decide(found.address != 0):
            path.reach("the fast path")
            path.prove(found.address != named(y, life, any_handle), "no handle of that life finds it in the fast path")
    elif path.choose("as a waiter"):
        waiting = later.memory.load(field(somebody, "waiting_slot")).address
        path.assume(waiting != 0)
        generation = later.memory.load(field(somebody, "waiting_generation"))
        if path.decide(path.call(ipc.live, somebody) == int(Error.NONE)):
            path.reach("a waiter")
            path.prove(z3.Not(z3.And(waiting == y, generation == life)), "nobody who waits by it is served")
    else:
        own = field(somebody, "table").address
        if path.decide(path.call(lookup.own_table, somebody).address != 0):
            path.reach("a thread's table")
            lives = later.get(own, "generation") == life
            path.prove(z3.Not(z3.And(own == y, lives)), "no thread names handles by it")


def named(slot: Any, life: Any, handle: Any) -> Any:
    """The slot if the handle is of that life of it, else the address of none."""
    return z3.If(z3.Extract(63, 32, handle) == life, slot, z3.BitVecVal(0, 64))
