"""`retype`, which makes every object: out of the free part of an untyped, and of nothing else."""

from typing import Any

import z3

from kernel.abi import Error, Kind
from kernel.core import access, lookup, memory
from kernel.core.objects import Channel, Endpoint, Notification, Slice, Space, Thread
from kernel.lang.symbolic import Path
from kernel.lang.symbolic.memory import pointer
from kernel.proofs.handles import THREAD_POINTER
from kernel.proofs.proof import Removed, hardware, proof, without_audit
from kernel.proofs.slots import HIGHEST, SLOT_POINTER, Slots

LARGEST = 37  # log2 of bytes: object_lines makes no greater untyped
SIZES: dict[Kind, Any] = {
    Kind.THREAD: Thread,
    Kind.ENDPOINT: Endpoint,
    Kind.NOTIFICATION: Notification,
    Kind.CHANNEL: Channel,
    Kind.SLICE: Slice,
}


def bytes_of(kind: Any, bits: Any) -> Any:
    """What an object takes, written down again: memory by its log2, tables by the slots, others by their structs."""
    one = z3.BitVecVal(1, 64)
    size = z3.If(kind == int(Kind.TABLE), 128 + 64 * (one << bits), one << bits)
    for which, struct in SIZES.items():
        size = z3.If(kind == int(which), z3.BitVecVal(struct.size, 64), size)
    size = z3.If(kind == int(Kind.SPACE), z3.BitVecVal(4096 + Space.size, 64), size)  # type: ignore[attr-defined]
    return z3.If(kind == int(Kind.PAGE_TABLE), z3.BitVecVal(4096, 64), size)


@proof(
    "retype never makes objects that overlap",
    memory.sys_retype,
    depends=[
        Removed(memory.sys_retype, "start > total or lines > total - start"),
        Removed(memory.sys_retype, "untyped.first is None", True),
        Removed(memory.sys_retype, "extent.used = end"),
        Removed(memory._clean, "line >= end"),
    ],
    reaches=["made", "cleaning", "refused"],
)
def retype_never_overlaps(path: Path) -> None:
    """A new object lies in [used, end) of its untyped and moves `used` past itself; cleaning stays in there too."""
    hardware(path)
    without_audit(path)
    before = Slots(path.memory.copy())
    thread, untyped, slot = (
        path.unknown(kind, name)
        for kind, name in ((THREAD_POINTER, "thread"), (SLOT_POINTER, "untyped"), (SLOT_POINTER, "slot"))
    )
    u = untyped.address
    base, size, badge = (before.get(u, name) for name in ("object", "size", "badge"))
    wide = z3.ZeroExt(56, size)
    total = (z3.BitVecVal(1, 64) << wide) >> 6
    used, cleaned = z3.ZeroExt(32, z3.Extract(31, 0, badge)), z3.ZeroExt(32, z3.Extract(63, 32, badge))
    free = z3.If(before.get(u, "first") == 0, z3.BitVecVal(0, 64), used)
    path.assume(z3.And(z3.UGE(size, 6), z3.ULE(size, LARGEST), z3.ULT(base, HIGHEST)))
    path.assume(base & ((z3.BitVecVal(1, 64) << wide) - 1) == 0)
    path.assume(z3.And(z3.ULE(used, cleaned), z3.ULE(cleaned, total)))
    made: list[Any] = []

    def line_at(path: Any, address: Any) -> Any:
        line = z3.LShR(address - base, 6)
        path.prove(z3.And(z3.ULE(base + 64 * free, address), z3.ULT(line, total)), "what is cleaned is free")
        return pointer(address, memory.Line)

    def create(path: Any, parent: Any, slot: Any, kind: Any, bits: Any, address: Any) -> Any:
        made.append((kind, z3.ZeroExt(56, bits), address))
        return z3.BitVecVal(int(Error.NONE if path.choose("created") else Error.LIMIT), 8)

    def in_bounds(path: Any, frame: Any, known: bool) -> None:
        names = {v.name: value for v, value in frame.items()}
        line, end, extent = names["line"], names["end"], names["extent"]
        inside = z3.And(z3.UGE(line, z3.Extract(63, 32, extent)), z3.ULE(line, end))
        path.assume(inside) if known else path.prove(inside, "cleaning does not pass the end")

    path.contracts |= {
        lookup.lookup: lambda path, *arguments: untyped,  # what it checks, kernel/proofs/handles.py shows
        lookup.destination: lambda path, *arguments: slot,
        access.line_at: line_at,
        memory._create: create,
    }
    path.cuts[memory._clean] = in_bounds
    error = path.call(memory.sys_retype, thread)
    after = Slots(path.memory).get(u, "badge")
    now, zeroed = z3.ZeroExt(32, z3.Extract(31, 0, after)), z3.ZeroExt(32, z3.Extract(63, 32, after))
    if path.decide(error == int(Error.NONE)):
        path.reach("made")
        kind, bits, address = made[0]
        end = address + bytes_of(kind, bits)
        path.prove_each([
            ("it starts in the free part", z3.ULE(base + 64 * free, address)),
            ("it ends after it starts", z3.ULT(address, end)),
            ("it ends in the untyped", z3.ULE(end, base + 64 * total)),
            ("`used` is past it", z3.ULE(end, base + 64 * now)),
            ("`used` stays in the untyped", z3.And(z3.ULE(now, zeroed), z3.ULE(zeroed, total))),
        ])  # fmt: skip
    elif path.decide(error == int(Error.RESTART)):
        path.reach("cleaning")
        path.prove(z3.And(now == free, z3.ULE(now, zeroed), z3.ULE(zeroed, total)), "cleaning uses nothing up")
    else:
        path.reach("refused")
        path.prove(after == badge, "a refusal uses nothing up")
