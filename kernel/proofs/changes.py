"""Every operation that changes the tree keeps its invariant, and does to slots what `moments.py` says of it."""

from typing import Any

import z3

from kernel.abi import Kind
from kernel.core import (
    access,
    boot,
    capabilities,
    dissolve,
    fastpath,
    fastpath_channels,
    inheritance,
    interrupts,
    mappings,
    memory,
    spaces,
    system_calls,
    threads,
    tree,
    waiters,
)
from kernel.lang import u8, u64, usize
from kernel.lang.symbolic import NULL, Failed, Path, Pointer, writes
from kernel.lang.symbolic.memory import field, pointer, region_name
from kernel.proofs.derive import count_references
from kernel.proofs.handles import KIND, TABLE
from kernel.proofs.moments import HEADER, STATE, Moments, buries, framed, keeps, shrinks
from kernel.proofs.proof import Removed, hardware, proof, without_audit
from kernel.proofs.slots import HIGHEST, LOWEST, SLOT, SLOT_POINTER, Ghosts, Slots, Structure, in_header
from kernel.proofs.tombs import Whole, counted, dying, entombed, header_at, header_of, of_header

U64: Any = u64


def in_an_object(slots: Slots, slot: Any) -> Any:
    """What is so of every slot of a table, thread, channel or interrupt row."""
    return z3.And(z3.Not(in_header(slot)), z3.Not(slots.is_origin(slot)))


def without_mapping(path: Path) -> None:
    """What `forget` may change of slots, by the proof below."""

    def forget(path: Any, slot: Pointer) -> None:
        slots = Slots(path.memory)
        kind = slots.get(slot.address, "kind")
        mapped = z3.Or([kind == int(k) for k in (Kind.FRAME, Kind.DEVICE, Kind.DMA)])
        for name, may in (
            ("badge", z3.Or(mapped, kind == int(Kind.PAGE_TABLE))),
            ("size", kind == int(Kind.PAGE_TABLE)),
        ):
            place = field(slot, name)
            left = z3.Const(path.name(f"{name} after its mapping"), path.memory.load(place).sort())
            path.memory.store(place, z3.If(may, left, path.memory.load(place)))

    path.contracts[mappings.forget] = forget


@proof(
    "ending a mapping changes nothing else of any slot",
    mappings.forget,
    depends=[Removed(mappings.forget, "slot.badge != 0"), Removed(mappings._unmap_pages, "slot.badge = 0")],
    reaches=["pages", "a table", "nothing"],
)
def forget_changes_its_own_slot(path: Path) -> None:
    """Of any slot: its badge is 0 then, and of a page table the size is that of a page; see `without_mapping`."""
    hardware(path)
    before = Slots(path.memory.copy())
    s, x = (path.unknown(SLOT_POINTER, name).address for name in ("slot", "any slot"))
    kind, size = before.get(s, "kind"), before.get(s, "size")
    path.assume(z3.ULT(before.get(s, "object"), HIGHEST))
    path.assume(z3.And(z3.UGE(size, 12), z3.ULE(size, 21)))  # spaces.sys_map maps nothing greater, retype makes no less

    def entry_at(path: Any, *arguments: Any) -> Pointer:
        return pointer(path.unknown(u64, "entry"), U64) if path.choose("there is an entry") else NULL

    path.contracts[mappings.entry_at] = entry_at
    path.cuts[mappings._unmap_pages] = None
    path.call(mappings.forget, Pointer(s, SLOT, None, s))
    after = Slots(path.memory)
    pages = z3.Or([kind == int(k) for k in (Kind.FRAME, Kind.DEVICE, Kind.DMA)])
    table = kind == int(Kind.PAGE_TABLE)
    path.reach("pages" if path.decide(pages) else "a table" if path.decide(table) else "nothing")
    names = [name for name in SLOT.fields if name not in ("badge", "size")]
    own = x == s
    path.prove_each([
        ("no other field changes", z3.And([after.get(x, name) == before.get(x, name) for name in names])),
        ("no other badge changes",
         z3.Or(after.get(x, "badge") == before.get(x, "badge"), z3.And(own, z3.Or(pages, table)))),
        ("no other size changes", z3.Or(after.get(x, "size") == before.get(x, "size"), z3.And(own, table))),
        ("it says that nothing is mapped", z3.Implies(z3.Or(pages, table), after.get(s, "badge") == 0)),
    ])  # fmt: skip


# What changes what the invariants are about, by the proof that says how. Boot makes the first state, and `_create` the
# places in an object that nobody has yet.
OPERATIONS = {
    tree.insert_child: "filling a slot, derive",
    tree.remove: "taking a slot out",
    tree.replace: "putting a slot in the place",
    capabilities.fill: "filling a slot, derive",
    capabilities.derive: "derive",
    capabilities.relocate: "moving a capability",
    dissolve.clear: "ending, moving, a step",
    dissolve.empty: "ending a capability",
    dissolve._bury: "ending a capability",
    dissolve.step: "a step of an object's end",
    mappings._unmap_table: "ending a mapping",
    spaces.sys_map_table: "none: it writes the size of a page table, which says where that is mapped",
    memory._create: "none",
    boot.begin: "none",
}
KEPT = {(SLOT, name) for name in SLOT.fields if name != "badge"}
KEPT |= {(HEADER, "references"), (HEADER, "next_dying"), (STATE, "dying"), (STATE, "dying_last")}


@proof(
    "nothing else writes what the tree is made of",
    system_calls.system_call,
    system_calls.fault,
    system_calls.timer,
    interrupts.arrived,
    fastpath.call,
    fastpath.call_granting,
    fastpath.notify,
    fastpath.reply_receive,
    fastpath_channels.send,
    fastpath_channels.receive,
    boot.start_host_test,
    depends=[],
    reaches=["looked at all functions"],
)
def nothing_else_writes(path: Path) -> None:
    """Read off the typed tree of all of the kernel's functions, one by one."""
    for function, body in path.program.bodies.items():
        regions, _ = writes.of(path.program, body.statements, calls=False)
        wrong = sorted(map(region_name, regions & KEPT))
        path.explorer.statistics.goals += 1
        if wrong and function not in OPERATIONS:
            raise Failed(f"{function.module}.{function.name} writes {', '.join(wrong)}")
    path.reach("looked at all functions")


POINTERS = [(SLOT, name) for name in ("first", "last", "next", "previous")]


def replaced(ghosts: Ghosts, old: Any, new: Any) -> Ghosts:
    """`new` has the place in the tree that `old` had."""
    opens, closes = ghosts.opens, ghosts.closes
    return ghosts.but(
        opens=lambda a: z3.If(a == new, opens(old), opens(a)),
        closes=lambda a: z3.If(a == new, closes(old), closes(a)),
    )


@proof(
    "taking a slot out of the tree leaves a tree of the others",
    tree.remove,
    depends=[
        Removed(tree.remove, "is_first", True),
        Removed(tree.remove, "is_last"),
        Removed(tree.remove, "slot.first is not None"),
        Removed(tree.remove, "first.previous = before"),
        Removed(tree.remove, "last.next = after"),
        Removed(tree.remove, "before.next = after"),
        Removed(tree.remove, "slot.first = None"),
    ],
    reaches=["removed"],
)
def remove_leaves_a_tree(path: Path) -> None:
    """All other slots are where they were in the walk through it."""
    invariant = Structure(path)
    before = invariant.before
    s = path.unknown(SLOT_POINTER, "slot").address
    path.assume(z3.And(before.live(s), z3.Not(before.is_origin(s))))
    path.call(tree.remove, Pointer(s, SLOT, None, s))
    path.reach("removed")
    invariant.show(Slots(path.memory, before.ghosts, lambda a: z3.And(before.live(a), a != s)))


@proof(
    "putting a slot in the place of another leaves a tree",
    tree.replace,
    depends=[
        Removed(tree.replace, "before.first == old", True),
        Removed(tree.replace, "after.last == old"),
        Removed(tree.replace, "old.first is not None"),
        Removed(tree.replace, "new.previous = before"),
        Removed(tree.replace, "new.next = after"),
        Removed(tree.replace, "new.first = old.first"),
        Removed(tree.replace, "old.first = None"),
    ],
    reaches=["replaced"],
)
def replace_leaves_a_tree(path: Path) -> None:
    """The new one is where the old one was, all others where they were."""
    was = Slots(path.memory.copy())
    old, new = (path.unknown(SLOT_POINTER, name).address for name in ("old", "new"))
    before = Slots(was.memory, was.ghosts, lambda a: z3.And(was.live(a), a != new))
    invariant = Structure(path, before)
    path.assume(z3.And(before.live(old), was.live(new), z3.Not(was.is_origin(old)), z3.Not(was.is_origin(new))))
    path.call(tree.replace, *(Pointer(a, SLOT, None, a) for a in (old, new)))
    path.reach("replaced")
    lives = lambda a: z3.And(was.live(a), a != old)  # noqa: E731
    invariant.show(Slots(path.memory, replaced(before.ghosts, old, new), lives))


class TreeByContract:
    """In the proof of an operation, `remove` and `replace` of tree.py do what the proofs above say."""

    def __init__(self, path: Path, moments: Moments):
        self.path, self.moments = path, moments
        self.changed: Slots | None = None
        path.contracts |= {
            tree.remove: lambda path, slot: self.change(slot.address, None),
            tree.replace: lambda path, old, new: self.change(old.address, new.address),
        }

    def change(self, old: Any, new: Any) -> None:
        """Shows that the tree is what it was before the operation, and makes it what it is then."""
        path, now = self.path, self.now
        self.moments.about(old)
        here = Slots(path.memory.copy(), now.ghosts)
        assert z3.is_true(here.memory.same_as(now.memory, POINTERS)), "the operation writes the tree itself"
        any_slot = path.unknown(SLOT_POINTER, "any slot").address
        lives = here.live(any_slot)
        if new is not None:
            lives = z3.And(lives, any_slot != new)
            something = z3.And(new != old, here.live(new), z3.Not(here.is_origin(new)))
            path.prove(something, "what comes into the tree is something else, and filled")
        path.prove(z3.And(
            lives == now.live(any_slot), here.is_origin(any_slot) == now.is_origin(any_slot)
        ), "the tree is what it was before")  # fmt: skip
        path.prove(z3.And(now.live(old), z3.Not(now.is_origin(old))), "what leaves the tree is in it")
        for region in POINTERS:
            path.memory.havoc(region, path.name(f"Slot.{region[1]} (changed)"))
        ghosts = now.ghosts if new is None else replaced(now.ghosts, old, new)
        self.changed = Slots(path.memory.copy(), ghosts, lambda a: z3.And(here.live(a), a != old))
        self.moments.invariant.later.append(Structure(path, self.changed, watch=False))

    @property
    def now(self) -> Slots:
        """The tree, as it was left."""
        return self.moments.now if self.changed is None else self.changed


@proof(
    "ending a capability keeps the tree, what is in it, and the tombs",
    dissolve._empty_if_filled,
    depends=[
        Removed(dissolve.empty, "header.references == 0", True),
        Removed(dissolve.empty, "header.references == 0"),
        Removed(dissolve.empty, "tree.remove(slot)"),
        Removed(dissolve.empty, "clear(slot)"),
        Removed(dissolve.clear, "slot.kind = Kind.EMPTY"),
        Removed(dissolve._bury, "tomb.place = Place.TOMB"),
        Removed(dissolve._bury, "tree.replace(slot, tomb)"),
        Removed(dissolve._bury, "kernel.dying_last is None"),
        Removed(dissolve._bury, "kernel.dying_last = header"),
    ],
    reaches=["empty before", "buried", "removed"],
)
def empty_keeps_the_invariant(path: Path) -> None:
    """Of any slot. Its children take its place; the last capability of an object becomes the object's tomb."""
    hardware(path)
    without_audit(path)
    without_mapping(path)
    for function in (dissolve._left, threads.stop, waiters.capability_ended):
        framed(path, function)
    moments = Moments(path, Whole)
    contract = TreeByContract(path, moments)
    invariant, before = moments.invariant, moments.first
    s = path.unknown(SLOT_POINTER, "slot").address
    path.assume(in_an_object(before, s))
    object, last = header_of(before, s), dying(path, before, "dying_last")
    buried = z3.And(counted(before, s), of_header(before, object, "references") == 1)
    path.call(dissolve._empty_if_filled, Pointer(s, SLOT, None, s))
    if path.decide(before.get(s, "kind") == int(Kind.EMPTY)):
        path.reach("empty before")
        path.prove(before.memory.same_as(path.memory), "nothing changes")
        return
    path.reach("buried" if path.decide(buried) else "removed")
    path.see(SLOT, object)
    path.see(SLOT, last)
    old = before.ghosts
    shared = lambda a: z3.And(counted(before, s), header_of(before, a) == object)  # noqa: E731
    is_tomb = lambda a: z3.And(buried, a == object)  # noqa: E731
    top = of_header(before, object, "references") - 1
    after = Slots(path.memory, contract.now.ghosts.but(
        rank=lambda a: z3.If(z3.And(shared(a), old.rank(a) == top), old.rank(s), old.rank(a)),
        turn=lambda a: z3.If(is_tomb(a), z3.If(last == 0, z3.RealVal(0), old.turn(last) + 1), old.turn(a)),
    ))  # fmt: skip
    first = dying(path, before)
    path.prove(z3.Not(after.usable(s)), "it has ended")
    path.prove(z3.Implies(buried, entombed(after, object)), "the object's memory is in use until it is dissolved")
    path.prove(z3.Implies(first != 0, dying(path, after) == first), "the first of the dying stays the first")
    x = invariant.show(after)
    path.prove(buries(before, after, x), "nothing else that somebody may use changes")


@proof(
    "a step of an object's end keeps the tree, what is in it, and the tombs",
    dissolve.step,
    depends=[
        Removed(dissolve.step, "kernel.dying = header.next_dying"),
        Removed(dissolve.step, "kernel.dying_last = None"),
        Removed(dissolve.step, "tree.remove(tomb)"),
        Removed(dissolve.step, "clear(tomb)"),
    ],
    reaches=["nothing is dying", "to be continued", "dissolved"],
)
def step_keeps_the_invariant(path: Path) -> None:
    """Of the first of the dying, whatever object it is. It goes by the proof above for each capability in it."""
    hardware(path)
    without_audit(path)
    for function in (dissolve._wake_some, threads.stop, spaces.end, inheritance.end, inheritance.step):
        framed(path, function)
    moments = Moments(path, Whole)
    TreeByContract(path, moments)
    before = moments.first
    head = dying(path, before)
    path.assume(z3.Implies(head != 0, z3.And(z3.UGE(head, LOWEST), z3.ULT(head, HIGHEST))))
    path.see(SLOT, head)

    def head_stays(since: Slots) -> Any:
        return z3.And(dying(path, since) == dying(path, moments.now), entombed(moments.now, head))

    def empty_if_filled(path: Any, slot: Pointer) -> None:
        was = moments.now
        path.assume(in_an_object(was, slot.address))
        moments.after(dissolve._empty_if_filled, buries)
        moments.about(head)
        path.assume(dying(path, was) == dying(path, moments.now))  # not 0: there is the head
        path.see(SLOT, head)

    def rounds(path: Any, frame: Any, known: bool) -> None:
        tables = [value for variable, value in frame.items() if variable.name == "table"]
        swept = [z3.ULE(path.memory.load(field(t, "swept")), path.memory.load(field(t, "count"))) for t in tables]
        if known:
            moments.next(buries, before)
            path.assume(z3.And(head_stays(before), *swept))
            path.see(SLOT, head)
            return
        moments.check()
        x = path.unknown(SLOT_POINTER, "any slot").address
        moments.about(x, head)
        path.prove(buries(before, moments.now, x), "rounds only end capabilities")
        path.prove(z3.And(head_stays(before), *swept), "what is dissolved stays the first of the dying")

    def table_at(path: Any, address: Any) -> Pointer:
        table = Pointer(address, TABLE, None, address)
        swept, count = (path.memory.load(field(table, name)) for name in ("swept", "count"))
        path.assume(z3.And(z3.ULE(swept, count), z3.ULE(count, 4096)))
        return table

    path.contracts |= {dissolve._empty_if_filled: empty_if_filled, access.table_at: table_at}
    path.cuts |= {dissolve._sweep: rounds, dissolve._dissolve: rounds}
    path.call(dissolve.step)
    if path.decide(head == 0):
        path.reach("nothing is dying")
        path.prove(before.memory.same_as(path.memory), "nothing changes")
        return
    after = Slots(path.memory, moments.now.ghosts)
    path.reach("to be continued" if path.decide(after.live(head)) else "dissolved")
    x = moments.invariant.show(after)
    moments.about(x)
    path.prove(shrinks(before, after, x), "nothing else that somebody may use changes")


@proof(
    "moving a capability keeps the tree, what is in it, and the tombs",
    capabilities.move,
    depends=[
        Removed(capabilities.relocate, "slot.generation += 1"),
        Removed(capabilities.relocate, "slot.rights = source.rights"),
        Removed(capabilities.relocate, "slot.expiry = source.expiry"),
        Removed(capabilities.relocate, "tree.replace(source, slot)"),
        Removed(capabilities.relocate, "dissolve.clear(source)"),
    ],
    reaches=["moved"],
)
def move_keeps_the_invariant(path: Path) -> None:
    """From any slot to any empty one. The new one is where the old one was, and allows the same."""
    hardware(path)
    without_mapping(path)
    framed(path, waiters.capability_ended)
    moments = Moments(path, Whole)
    contract = TreeByContract(path, moments)
    before = moments.first
    s, d = (path.unknown(SLOT_POINTER, name).address for name in ("source", "slot"))
    path.assume(z3.And(before.usable(s), in_an_object(before, s), in_an_object(before, d)))
    path.assume(z3.And(before.get(d, "kind") == int(Kind.EMPTY), before.get(d, "generation") != 0xFFFF_FFFF))
    path.call(capabilities.move, *(Pointer(a, SLOT, None, a) for a in (s, d)))
    path.reach("moved")
    rank = before.ghosts.rank
    after = Slots(path.memory, contract.now.ghosts.but(rank=lambda a: z3.If(a == d, rank(s), rank(a))))
    path.prove_each([
        ("the old one has ended", z3.Not(after.usable(s))),
        ("the new handle was never given before", after.get(d, "generation") == before.get(d, "generation") + 1),
        ("it allows the same", z3.And([
            after.get(d, name) == before.get(s, name) for name in ("kind", "object", "rights", "expiry")])),
    ])  # fmt: skip
    x = moments.invariant.show(after)
    path.prove(keeps(before, after, x), "nothing else becomes usable, and all stay where they are")


@proof(
    "filling a slot keeps the tree, what is in it, and the tombs",
    capabilities.fill,
    depends=[
        Removed(capabilities.fill, "slot.generation += 1"),
        Removed(capabilities.fill, "slot.badge = 0"),
        Removed(capabilities.fill, "tree.insert_child(parent, slot)"),
        Removed(capabilities.fill, "header.references += 1"),
        Removed(tree.insert_child, "old is None"),
    ],
    reaches=["made", "given"],
)
def fill_keeps_the_invariant(path: Path) -> None:
    """An empty slot. Either of an object that was just zeroed, below an untyped or the origin: what `_create` does. Or
    with what the parent names, and no more rights, where the parent has no end: what the fast paths do."""
    moments = Moments(path, Whole)
    count_references(path)
    before = moments.first
    p, d = (path.unknown(SLOT_POINTER, name).address for name in ("parent", "slot"))
    kind, object = path.unknown(KIND, "kind"), path.unknown(usize, "object")
    size, rights = path.unknown(u8, "size"), path.unknown(u8, "rights")
    header = header_at(object, kind)
    references = of_header(before, header, "references")
    path.assume(in_an_object(before, d))
    path.assume(z3.And(before.get(d, "kind") == int(Kind.EMPTY), before.get(d, "generation") != 0xFFFF_FFFF))
    new = path.choose("a new object")
    if new:
        untyped = z3.And(before.usable(p), before.get(p, "kind") == int(Kind.UNTYPED))
        path.assume(z3.And(z3.Or(untyped, before.is_origin(p)), kind != int(Kind.EMPTY)))
        path.assume(z3.And(header != 0, in_header(header), references == 0, z3.Not(before.live(header))))
    else:
        path.assume(z3.And(before.usable(p), before.get(p, "expiry") == 0, rights & ~before.get(p, "rights") == 0))
        path.assume(z3.And(kind != int(Kind.UNTYPED), kind != int(Kind.PAGE_TABLE)))
        same = (("kind", kind), ("object", object), ("size", size))
        path.assume(z3.And([before.get(p, name) == value for name, value in same]))
    path.call(capabilities.fill, *(Pointer(a, SLOT, None, a) for a in (d, p)), kind, object, size, rights)
    path.reach("made" if new else "given")
    start, end, old = before.opens(p), before.after_open(p), before.ghosts
    after = Slots(path.memory, old.but(
        opens=lambda a: z3.If(a == d, (2 * start + end) / 3, old.opens(a)),
        closes=lambda a: z3.If(a == d, (start + 2 * end) / 3, old.closes(a)),
        rank=lambda a: z3.If(a == d, references, old.rank(a)),
    ))  # fmt: skip
    x = moments.invariant.show(after)
    path.prove_each([
        ("its handle was never given before", after.get(d, "generation") == before.get(d, "generation") + 1),
        ("it hangs below what it was made from", after.inside(d, p)),
        ("it has no badge and no end yet, and is not mapped",
         z3.And(after.get(d, "badge") == 0, after.get(d, "expiry") == 0)),
        ("nothing else becomes usable, and all stay where they are", keeps(before, after, x)),
    ])  # fmt: skip
