"""The kernel's own checker sees what is broken: each test breaks one thing behind the kernel's back."""

import ctypes
from collections.abc import Callable

import pytest

from kernel.abi import Error, Invariant, Kind, SystemCall
from kernel.core import invariants, system_calls
from kernel.core.objects import Channel, Header, Space, Timer
from tests.kernel.core.machine import SLOT, STATE, THREAD, KernelUnderTest, _word

HEADER = {name: field.offset for name, field in Header.fields.items()}  # type: ignore[attr-defined]
PAGE_AT = 0x40_0000


def poke(address: int, value: int, width: int = 8) -> None:
    ctypes.memmove(address, value.to_bytes(width, "little"), width)


class World:
    """A bit of everything: a mapped page, a thread that waits, one that sleeps, a derived capability, a channel."""

    def __init__(self):
        kernel = self.kernel = KernelUnderTest(19)
        do = lambda *call, **more: kernel.do(kernel.boot, *call, **more)  # noqa: E731
        self.waiter, self.sleeper = kernel.actor("waiter", 4), kernel.actor("sleeper", 4)
        self.handles = {kind: kernel.make(kind) for kind in (Kind.ENDPOINT, Kind.NOTIFICATION, Kind.CHANNEL)}
        self.at = {kind: kernel.slot(handle)["object"] for kind, handle in self.handles.items()}
        self.endpoint = kernel.slot(self.handles[Kind.ENDPOINT])["address"]
        kernel.give(self.handles[Kind.ENDPOINT], self.waiter.handles[Kind.TABLE], 3, 1, badge=7)
        self.given = kernel.read_slot(self.endpoint)["first"]
        self.frame = kernel.make(Kind.FRAME, 12)
        self.space = self.waiter.handles[Kind.SPACE]
        while (error := do(SystemCall.MAP, self.frame, self.space, PAGE_AT, 3)) == Error.NO_PAGE_TABLE:
            assert do(SystemCall.MAP_TABLE, kernel.make(Kind.PAGE_TABLE), self.space, PAGE_AT) == Error.NONE
        assert error == Error.NONE
        for actor in (self.waiter, self.sleeper):
            assert do(SystemCall.THREAD_START, actor.handles[Kind.THREAD], 4096, 8192, 0) == Error.NONE
        kernel.set_current(0)
        system_calls.leave_kernel()
        for _ in range(2):
            if kernel.current() == self.sleeper.address:
                self.sleeper.registers(int(SystemCall.SLEEP), 0, (), 0, 0, 500)
                system_calls.system_call(self.sleeper.view)
            else:
                self.waiter.registers(int(SystemCall.RECEIVE), 1 << 32 | 3, (), 0, 0, 500)
                system_calls.system_call(self.waiter.view)


@pytest.fixture
def world() -> World:
    kernel = World()
    kernel.kernel.check()
    return kernel


def header(world: World, kind: Kind, field: str) -> int:
    return world.at[kind] + HEADER[field]


def leaf(world: World) -> int:
    """The address of the page's entry."""
    table = world.kernel.slot(world.space)["object"] - 4096
    for shift in (30, 21):
        table = (_word(table + 8 * (PAGE_AT >> shift & 511)) >> 10) << 12
    return table + 8 * (PAGE_AT >> 12 & 511)


def damage(name: str) -> Callable[[World], None]:
    """What breaks it, by a name."""
    slot = {n: SLOT[n] for n in SLOT}
    return {
        "a child's link back": lambda w: poke(w.given + slot["previous"], w.given),
        "a slot that left the tree": lambda w: [poke(w.endpoint + slot[n], 0) for n in ("first", "last")],
        "more rights": lambda w: (poke(w.endpoint + slot["rights"], 1, 1), poke(w.given + slot["rights"], 3, 1)),
        "a longer life": lambda w: poke(w.endpoint + slot["expiry"], 5),
        "another badge": lambda w: poke(w.endpoint + slot["badge"], 9),
        "another place": lambda w: poke(w.given + slot["place"], 6, 1),
        "one reference more": lambda w: poke(header(w, Kind.ENDPOINT, "references"), 3, 4),
        "another kind of object": lambda w: poke(header(w, Kind.ENDPOINT, "kind"), 7 ^ 1, 1),
        "a watermark below": lambda w: poke(w.kernel.slot(w.kernel.untyped)["address"] + slot["badge"], 0),
        "one object on another": lambda w: poke(
            w.kernel.slot(w.frame)["address"] + slot["object"], w.kernel.slot(w.space)["object"] - 4096
        ),
        "dying with a capability": lambda w: poke(header(w, Kind.CHANNEL, "dying"), 1, 1),
        "a list of the dying that goes on": lambda w: poke(
            w.kernel.state_address + STATE["dying_last"], w.at[Kind.CHANNEL]
        ),
        "another queue's member": lambda w: poke(w.waiter.address + THREAD["queue"], w.at[Kind.NOTIFICATION]),
        "waiting in no queue": lambda w: poke(w.sleeper.address + THREAD["state"], 5, 1),
        "a bit without threads": lambda w: poke(w.kernel.state_address + STATE["ready"], 1),
        "a caller that does not wait": lambda w: poke(w.waiter.address + THREAD["caller"], w.sleeper.address),
        "less urgent than itself": lambda w: poke(w.waiter.address + THREAD["base_level"], 5, 1),
        "a deadline that is later": lambda w: poke(
            _word(w.kernel.state_address + STATE["timers"]) + Timer.fields["deadline"].offset,  # type: ignore[attr-defined]
            1 << 60,
        ),
        "a timer of nobody": lambda w: poke(w.sleeper.address + THREAD["timed"], 0, 1),
        "a space of another number": lambda w: poke(
            w.kernel.slot(w.sleeper.handles[Kind.SPACE])["object"] + Space.fields["number"].offset,  # type: ignore[attr-defined]
            77,
        ),
        "a translation of another space": lambda w: poke(w.waiter.address + THREAD["translation"], 77),
        "a page without a capability": lambda w: poke(w.kernel.slot(w.frame)["address"] + slot["badge"], 0),
        "a page that is more than allowed": lambda w: poke(w.kernel.slot(w.frame)["address"] + slot["rights"], 1, 1),
        "a page to write and to run": lambda w: poke(leaf(w), _word(leaf(w)) | 8),
        "a page of the kernel's": lambda w: poke(leaf(w), _word(leaf(w)) & ~0x10),
        "more in a channel than fits": lambda w: poke(
            w.at[Kind.CHANNEL] + Channel.fields["count"].offset,
            9,
            4,  # type: ignore[attr-defined]
        ),
    }[name]


WANTED = {
    "a child's link back": "TREE", "a slot that left the tree": "REFERENCES", "more rights": "RIGHTS",
    "a longer life": "RIGHTS", "another badge": "RIGHTS", "another place": "PLACE", "one reference more": "REFERENCES",
    "another kind of object": "KIND", "a watermark below": "EXTENT", "one object on another": "OVERLAP",
    "dying with a capability": "DYING", "a list of the dying that goes on": "DYING", "another queue's member": "QUEUE",
    "waiting in no queue": "STATE", "a bit without threads": "QUEUE", "a caller that does not wait": "REPLY",
    "less urgent than itself": "LEVEL", "a deadline that is later": "TIMER", "a timer of nobody": "STATE",
    "a space of another number": "SPACE", "a translation of another space": "SPACE",
    "a page without a capability": "PAGE", "a page that is more than allowed": "PAGE",
    "a page to write and to run": "PAGE", "a page of the kernel's": "PAGE", "more in a channel than fits": "CHANNEL",
}  # fmt: skip


@pytest.mark.parametrize("name", WANTED)
def test_the_checker_names_what_is_broken(world: World, name: str):
    damage(name)(world)
    assert Invariant(invariants.check(True)).name == WANTED[name]


@pytest.mark.parametrize("name", [n for n, wanted in WANTED.items() if wanted not in ("PLACE", "PAGE", "OVERLAP")])
def test_a_quick_walk_names_what_is_broken_along_the_tree(world: World, name: str):
    assert invariants.check_quickly() == Invariant.NONE
    damage(name)(world)
    assert Invariant(invariants.check_quickly()).name == WANTED[name]


def test_every_invariant_has_something_that_breaks_it():
    assert set(WANTED.values()) | {"NONE"} == {i.name for i in Invariant}
