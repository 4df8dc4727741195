"""The real kernel, host-native, with a piece of memory of its own: what tests drive."""

import ctypes
from collections.abc import Iterator
from typing import Any

from kernel.abi import Error, Invariant, Kind, SystemCall
from kernel.core import boot, invariants, machine, state, system_calls
from kernel.core.objects import Slot, Table, Thread
from kernel.lang import layout

NEVER = 2**64 - 1
THREAD = {name: field.offset for name, field in Thread.fields.items()}  # type: ignore[attr-defined]
SLOT = {name: field.offset for name, field in Slot.fields.items()}  # type: ignore[attr-defined]
STATE = {name: field.offset for name, field in state.State.fields.items()}  # type: ignore[attr-defined]
SLOT_BYTES = Slot.size  # type: ignore[attr-defined]


def _word(address: int, width: int = 8) -> int:
    return int.from_bytes(ctypes.string_at(address, width), "little")


class Actor:
    """A thread of the kernel under test, with a table."""

    handles: dict[Kind, int]  # of the boot thread, to what it lives by
    own: dict[int, int]  # a World's: its own handles, by their slots, and of the boot thread what they come from
    between: dict[int, int]
    end: int

    def __init__(self, kernel: "KernelUnderTest", name: str, address: int):
        self.kernel, self.name, self.address = kernel, name, address
        self.view: Any = layout.view(Thread, address, kernel.owner)  # type: ignore[arg-type]

    def registers(self, number: int, handle: int, words: tuple[int, ...], capability: int, option: int, timeout: int):
        """Sets the registers of a system call."""
        frame = self.view.frame
        frame.number, frame.handle, frame.capability, frame.option, frame.timeout = (
            number, handle, capability, option, timeout)  # fmt: skip
        for index in range(8):
            frame.words[index] = int(words[index]) if index < len(words) else 0

    @property
    def state(self) -> int:
        """ThreadState."""
        return _word(self.address + THREAD["state"], 1)

    @property
    def status(self) -> Error:
        """The status register."""
        return Error(self.view.frame.handle)

    def word(self, index: int) -> int:
        """A message register."""
        return self.view.frame.words[index]


class KernelUnderTest:
    """A kernel that was just started: one untyped of 2**bits bytes."""

    def __init__(self, bits: int = 20):
        self.bits = bits
        self.owner, self.base = layout.allocate(1 << bits, 1 << bits)
        for variable in (state.kernel, boot.boot_table, boot.boot_thread):
            ctypes.memset(layout.variable_address(variable), 0, variable.type.size)
        machine.host_time.value = 1000
        self.state_address = layout.variable_address(state.kernel)
        self.untyped = boot.start_host_test(self.base, bits)
        self.boot = Actor(self, "boot", layout.variable_address(boot.boot_thread))
        self.next_slot = 10

    # Directly, one step at a time, in the name of any thread

    def step(self, actor: Actor, call: SystemCall, handle: int, *words: int, **more: int) -> Error:
        """One piece of a system call in the name of an actor, whoever is scheduled. May give RESTART."""
        values = {"capability": 0, "option": 0, "timeout": NEVER} | more
        actor.registers(int(call), handle, words, **values)
        self.set_current(actor.address)
        return system_calls.execute(actor.view, call)

    def do(self, actor: Actor, call: SystemCall, handle: int, *words: int, **more: int) -> Error:
        """A system call with all its pieces."""
        while True:
            error = self.step(actor, call, handle, *words, **more)
            if error != Error.RESTART:
                return error

    def set_current(self, address: int) -> None:
        """Makes a thread current behind the scheduler's back."""
        ctypes.memmove(self.state_address + STATE["current"], address.to_bytes(8, "little"), 8)

    def current(self) -> int:
        """The address of the current thread, 0 for none."""
        return _word(self.state_address + STATE["current"])

    # Setting up, with system calls of the boot thread

    def make(self, kind: Kind, bits: int = 0) -> int:
        """A new object in the boot thread's table; gives its handle."""
        index, self.next_slot = self.next_slot, self.next_slot + 1
        error = self.do(self.boot, SystemCall.RETYPE, self.untyped, 0, index, int(kind), bits)
        assert error == Error.NONE, (kind, error)
        return self.boot.word(0)

    def give(self, handle: int, table: int, index: int, rights: int = 31, badge: int = 0, expiry: int = 0) -> int:
        """Derives a capability of the boot thread into a table."""
        error = self.do(self.boot, SystemCall.DERIVE, handle, table, index, rights, badge, expiry)
        assert error == Error.NONE, error
        return self.boot.word(0)

    def actor(self, name: str, table_bits: int = 4, level: tuple[int, int] | None = None) -> Actor:
        """A thread with a table of its own; its handles are in boot_handles."""
        handles = {kind: self.make(kind) for kind in (Kind.SPACE, Kind.SLICE, Kind.THREAD)}
        handles[Kind.TABLE] = self.make(Kind.TABLE, table_bits)
        if level is not None:
            slot = self.slot(handles[Kind.SLICE])
            self.raise_slice(slot["object"], level)
        error = self.do(self.boot, SystemCall.THREAD_CONFIGURE, handles[Kind.THREAD],
                        handles[Kind.TABLE], handles[Kind.SPACE], 0, handles[Kind.SLICE])  # fmt: skip
        assert error == Error.NONE, error
        made = Actor(self, name, self.slot(handles[Kind.THREAD])["object"])
        made.handles = handles
        return made

    def raise_slice(self, address: int, level: tuple[int, int]) -> None:
        """Sets a slice's class and level as the boot code does for the first one."""
        from kernel.core.objects import Slice

        view: Any = layout.view(Slice, address, self.owner)  # type: ignore[arg-type]
        view.level = (0, 16, 48)[level[0]] + level[1]

    # Looking

    def check(self) -> None:
        """Every invariant that the kernel's own checker knows (kernel/core/invariants.py)."""
        broken = Invariant(invariants.check(True))
        if broken != Invariant.NONE:
            at = layout.variable_address(invariants.walk) + invariants.Walk.fields["where"].offset  # type: ignore[attr-defined]
            raise AssertionError(f"invariant {broken.name} does not hold at {_word(at):#x}")

    def slot(self, handle: int) -> dict[str, int]:
        """The boot thread's slot of a handle."""
        table = layout.variable_address(boot.boot_table)
        return self.read_slot(table + Table.size + (handle & 0xFFFFFFFF) * SLOT_BYTES)  # type: ignore[attr-defined]

    def read_slot(self, address: int) -> dict[str, int]:
        """The fields of a slot, with its own address."""
        widths = {"generation": 4, "kind": 1, "rights": 1, "place": 1, "size": 1}
        return {n: _word(address + at, widths.get(n, 8)) for n, at in SLOT.items()} | {"address": address}

    def tree(self) -> Iterator[tuple[dict[str, int], int]]:
        """(slot, address of its parent) of every live slot; fails when the tree is not one."""
        origin = self.state_address + STATE["origin"]
        seen = {origin}
        stack = [origin]
        while stack:
            parent = self.read_slot(stack.pop())
            here, before = parent["first"], parent["address"]
            assert (parent["first"] == 0) == (parent["last"] == 0)
            while here not in (0, parent["address"]):
                assert here not in seen, "a slot is in the tree twice"
                seen.add(here)
                slot = self.read_slot(here)
                assert slot["previous"] == before, "links disagree"
                assert slot["kind"] != 0, "an empty slot is in the tree"
                yield slot, parent["address"]
                stack.append(here)
                before, here = here, slot["next"]
            if parent["first"]:
                assert before == parent["last"] and here == parent["address"], "links disagree"
