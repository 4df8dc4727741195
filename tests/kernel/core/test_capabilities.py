"""Random sequences of capability operations: the kernel must agree with a plain Python model after each of them."""

import ctypes
import os

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from kernel.abi import Error, Kind, SystemCall
from kernel.core import dissolve, machine
from kernel.core.objects import Table
from tests.kernel.core.capability_model import GRANT, READ, REVOKE, WRITE, Cap, Model, Thing
from tests.kernel.core.machine import SLOT_BYTES, STATE, Actor, KernelUnderTest, _word

EXAMPLES = int(os.environ.get("KERNEL_CORE_EXAMPLES", "40"))
number = st.integers(0, 2**16)
BITS = 4  # slots of a table: 16
HEADER = Table.size  # type: ignore[attr-defined]


class Capabilities(RuleBasedStateMachine):
    """Three actors with a table each; A and B may write into each other's table."""

    @initialize()
    def start(self):
        self.kernel = KernelUnderTest(17)
        self.model = Model()
        self.model.time = machine.host_time.value
        self.actors: list[Actor] = []
        self.tables: dict[str, Thing] = {}
        self.addresses: dict[int, Thing] = {}
        self.revoking: tuple[Actor, Cap] | None = None
        kernel = self.kernel
        memory = [kernel.make(Kind.UNTYPED, 14) for _ in "ABC"]
        for name in "ABC":
            self.actors.append(kernel.actor(name, BITS))
        self.actor_slots = len(list(kernel.tree()))
        for actor, untyped in zip(self.actors, memory, strict=True):
            table = actor.handles[Kind.TABLE]
            thing = Thing(Kind.TABLE, count=1 << BITS, held=True)
            self.tables[actor.name] = thing
            slot = kernel.slot(table)
            self.addresses[slot["object"]] = thing
            region = kernel.slot(untyped)
            home = Thing(Kind.UNTYPED, start=region["object"], size=1 << 14)
            assert kernel.do(kernel.boot, SystemCall.MOVE, untyped, table, 0) == Error.NONE
            cap = self.model.add(home, None, thing, 0, 31, 0, 0)
            cap.handle = kernel.boot.word(0)
        for a, b in ((0, 1), (1, 0)):
            table = self.actors[b].handles[Kind.TABLE]
            given = kernel.give(table, self.actors[a].handles[Kind.TABLE], 1, WRITE)
            cap = self.model.add(
                self.tables[self.actors[b].name], None, self.tables[self.actors[a].name], 1, WRITE, 0, 0
            )
            cap.handle = given

    # Choosing

    def choose(self, n: int) -> tuple[Actor, Cap] | None:
        """Some actor and some capability in its table."""
        actor = self.actors[n % len(self.actors)]
        held = list(self.tables[actor.name].slots.values())
        return (actor, held[n // 3 % len(held)]) if held else None

    def place(self, actor: Actor, n: int) -> tuple[int, Thing] | None:
        """A table that the actor can put something into: (handle or 0, table)."""
        own = self.tables[actor.name]
        tables = [(0, own)]
        for cap in own.slots.values():
            if cap.thing.kind == Kind.TABLE and cap.rights & WRITE and not self.model.expired(cap):
                tables.append((cap.handle, cap.thing))
        return tables[n % len(tables)]

    # Rules

    @rule(n=number, t=number, index=st.integers(0, 17), rights=st.integers(0, 31), keep=st.booleans(),
          badge=st.sampled_from([0, 0, 1, 2]), lasts=st.sampled_from([0, 0, 5, 50, 500]))  # fmt: skip
    def derive(self, n, t, index, rights, keep, badge, lasts):
        chosen = self.choose(n)
        if chosen is None:
            return
        actor, cap = chosen
        handle, table = self.place(actor, t)
        if keep:
            rights = cap.rights & (rights | READ | WRITE | GRANT | REVOKE)
        expiry = self.model.time + lasts if lasts else 0
        agreed = self.model.may_derive(cap, rights, badge, expiry, handle != 0) and self.model.may_place(table, index)
        error = self.kernel.do(actor, SystemCall.DERIVE, cap.handle, handle, index, rights, badge, expiry)
        assert (error == Error.NONE) == agreed, error
        if agreed:
            made = self.model.add(cap.thing, cap, table, index, rights, badge or cap.badge, expiry)
            made.handle = actor.word(0)

    @rule(n=number, t=number, index=st.integers(0, 17))
    def move(self, n, t, index):
        chosen = self.choose(n)
        if chosen is None:
            return
        actor, cap = chosen
        handle, table = self.place(actor, t)
        agreed = not self.model.expired(cap) and self.model.may_place(table, index)
        agreed = agreed and (handle == 0 or bool(cap.rights & GRANT))
        error = self.kernel.do(actor, SystemCall.MOVE, cap.handle, handle, index)
        assert (error == Error.NONE) == agreed, error
        if agreed:
            old = cap.handle
            del cap.home.slots[cap.index]
            cap.home, cap.index, cap.handle = table, index, actor.word(0)
            table.slots[index] = cap
            assert self.kernel.do(actor, SystemCall.DERIVE, old, 0, 15, 0) == Error.INVALID_HANDLE

    @rule(n=number)
    def delete(self, n):
        chosen = self.choose(n)
        if chosen is None:
            return
        actor, cap = chosen
        assert self.kernel.do(actor, SystemCall.DELETE, cap.handle) == Error.NONE
        self.model.kill(cap)
        self.drain()

    @rule(n=number)
    def revoke(self, n):
        chosen = self.choose(n)
        if chosen is None:
            return
        actor, cap = chosen
        agreed = not self.model.expired(cap) and bool(cap.rights & REVOKE)
        error = self.kernel.do(actor, SystemCall.REVOKE, cap.handle)
        if agreed:
            victims = cap.descendants()
            for victim in victims:
                if victim in self.model.caps:
                    self.model.kill(victim)
            # The table that held the capability may have gone with its descendants.
            assert error == Error.NONE or cap not in self.model.caps
            assert not cap.children
        else:
            assert error in (Error.EXPIRED, Error.DENIED)
        self.drain()

    @rule(n=number)
    def revoke_a_piece(self, n):
        """One step of a long revocation; others act before the next."""
        chosen = self.choose(n)
        if chosen is None:
            return
        actor, cap = chosen
        if self.model.expired(cap) or not cap.rights & REVOKE:
            return
        before = len(cap.descendants())
        error = self.kernel.step(actor, SystemCall.REVOKE, cap.handle)
        alive = self.live_places()
        for victim in cap.descendants():
            if victim in self.model.caps and (victim.home, victim.index, victim.handle) not in alive:
                self.model.kill(victim)
        self.drain()
        if error == Error.NONE:
            assert not cap.children
        elif error == Error.RESTART:
            assert len(cap.descendants()) < before or before == 0

    @rule(n=number, t=number, index=st.integers(0, 17), kind=st.sampled_from(
        [Kind.ENDPOINT, Kind.NOTIFICATION, Kind.UNTYPED, Kind.FRAME, Kind.TABLE]), bits=st.integers(6, 13))  # fmt: skip
    def retype(self, n, t, index, kind, bits):
        chosen = self.choose(n)
        if chosen is None:
            return
        actor, cap = chosen
        handle, table = self.place(actor, t)
        bits = {Kind.TABLE: 2, Kind.FRAME: 12, Kind.UNTYPED: bits}.get(kind, 0)
        error = self.kernel.do(actor, SystemCall.RETYPE, cap.handle, handle, index, int(kind), bits)
        agreed = cap.thing.kind == Kind.UNTYPED and self.model.may_place(table, index)
        where = self.model.retype(cap, kind, bits) if agreed else None
        assert (error == Error.NONE) == (where is not None), error
        if where is None:
            return
        start, size = where
        made = Thing(kind, start, size, count=1 << bits if kind == Kind.TABLE else 0)
        cap.thing.used = start + size - cap.thing.start
        new = self.model.add(made, cap, table, index, 31, 0, 0)
        new.handle = actor.word(0)
        if kind == Kind.TABLE:
            self.addresses[start] = made
        if kind == Kind.FRAME:
            assert not any(self.read(start, size)), "a new frame is not zero"
            self.scribble(start, size)

    @rule(by=st.sampled_from([1, 10, 100]))
    def time_passes(self, by):
        self.model.time += by
        machine.host_time.value += by

    @rule(n=number, call=st.sampled_from([SystemCall.DERIVE, SystemCall.MOVE, SystemCall.DELETE, SystemCall.REVOKE]),
          index=st.integers(0, 40), generation=st.integers(0, 2**32 - 1))  # fmt: skip
    def forge(self, n, call, index, generation):
        """A handle that was never given, or is stale, opens nothing."""
        actor = self.actors[n % 3]
        handle = generation << 32 | index
        if any(c.handle == handle for c in self.tables[actor.name].slots.values()):
            return
        assert self.kernel.do(actor, call, handle, 0, 14, 0) == Error.INVALID_HANDLE

    @rule(n=number)
    def inspect(self, n):
        chosen = self.choose(n)
        if chosen is None:
            return
        actor, cap = chosen
        assert self.kernel.do(actor, SystemCall.INSPECT, cap.handle) == Error.NONE
        words = [actor.word(i) for i in range(4)]
        badge = cap.badge
        if cap.thing.kind == Kind.UNTYPED:  # How much of it is used.
            assert words[2] % 64 == 0
            badge = words[2]
        assert words == [int(cap.thing.kind), cap.rights, badge, cap.expiry]
        self.list_chain(actor, cap)

    def list_chain(self, actor: Actor, cap: Cap) -> None:
        """The capabilities above it, one after the other, are those that it was derived from, up to the origin."""
        length, handle = actor.word(5), cap.handle
        holders = {id(self.tables[holder.name]): holder for holder in self.actors}
        ancestor: Cap | None = cap
        for up in range(length):
            assert self.kernel.do(actor, SystemCall.INSPECT, handle, 0, 0, up) == Error.NONE
            kind, rights, _, expiry, _, left, _, named = (actor.word(i) for i in range(8))
            identity = actor.view.frame.number
            assert (left, named) == (length - up, handle)
            if ancestor is not None:
                assert (kind, rights, expiry) == (int(ancestor.thing.kind), ancestor.rights, ancestor.expiry)
                holder = holders.get(id(ancestor.home))
                if holder is not None:
                    assert self.kernel.do(holder, SystemCall.INSPECT, ancestor.handle) == Error.NONE
                    assert holder.view.frame.number == identity
                ancestor = ancestor.parent
        assert ancestor is None
        for up in (length, length + 1, 256, 2**64 - 1):
            assert self.kernel.do(actor, SystemCall.INSPECT, handle, 0, 0, up) == Error.OUT_OF_RANGE

    # Looking

    def read(self, start: int, size: int) -> bytes:
        """Memory of the kernel under test."""
        return ctypes.string_at(start, size)

    def scribble(self, start: int, size: int) -> None:
        """What a user does with its frame: whatever is made of it later must be clean again."""
        ctypes.memset(start, 0xA5, size)

    def drain(self) -> None:
        """Lets objects that lost their last capability be dissolved."""
        while _word(self.kernel.state_address + STATE["dying"]):
            dissolve.step()

    def live_places(self) -> set[tuple[Thing, int, int]]:
        """(table, index, handle) of all live slots in tables that the model knows."""
        return {(t, i, h) for t, i, h, *_ in self.observed()}

    def observed(self):
        """Live slots in known tables: (table, index, handle, kind, rights, badge, expiry, object, parent address)."""
        spans = [(address + HEADER, thing) for address, thing in self.addresses.items()]
        for slot, parent in self.kernel.tree():
            for first, thing in spans:
                index, rest = divmod(slot["address"] - first, SLOT_BYTES)
                if 0 <= index < thing.count and rest == 0 and thing in self.known:
                    handle = slot["generation"] << 32 | index
                    badge = slot["badge"] if slot["kind"] in (Kind.ENDPOINT, Kind.NOTIFICATION) else 0
                    yield (thing, index, handle, slot["kind"], slot["rights"], badge, slot["expiry"], slot["object"],
                           parent, slot["address"])  # fmt: skip

    @property
    def known(self) -> set[Thing]:
        return {*self.tables.values(), *(c.thing for c in self.model.caps if c.thing.kind == Kind.TABLE)}

    @invariant()
    def kernel_and_model_agree(self):
        if not hasattr(self, "model"):
            return
        seen = {}
        parents = {}
        for thing, index, handle, kind, rights, badge, expiry, _, parent, address in self.observed():
            seen[id(thing), index] = (handle, kind, rights, badge, expiry)
            parents[id(thing), index] = (parent, address)
        wanted = {
            (id(c.home), c.index): (c.handle, int(c.thing.kind), c.rights, c.badge, c.expiry) for c in self.model.caps
        }
        assert seen == wanted
        places = {key: address for key, (_, address) in parents.items()}
        for cap in self.model.caps:
            if cap.parent is not None:
                parent, _ = parents[id(cap.home), cap.index]
                assert parent == places[id(cap.parent.home), cap.parent.index], "derived from somebody else"

    @invariant()
    def all_that_the_kernel_must_keep_holds(self):
        if hasattr(self, "model"):
            self.kernel.check()

    @invariant()
    def objects_do_not_overlap(self):
        if not hasattr(self, "model"):
            return
        things = {id(c.thing): c.thing for c in self.model.caps if c.thing.size and c.thing.kind != Kind.UNTYPED}
        spans = sorted((t.start, t.start + t.size) for t in things.values())
        assert all(a[1] <= b[0] for a, b in zip(spans, spans[1:], strict=False))
        for cap in self.model.caps:
            if cap.thing.size and cap.parent is not None and cap.parent.thing.kind == Kind.UNTYPED:
                above = cap.parent.thing
                assert above.start <= cap.thing.start and cap.thing.start + cap.thing.size <= above.start + above.size

    def teardown(self):
        """Everything can be taken back: after the revocation of all memory nothing lives, and all of it is free."""
        if not hasattr(self, "kernel"):
            return
        kernel = self.kernel
        assert kernel.do(kernel.boot, SystemCall.REVOKE, kernel.untyped) == Error.NONE
        kinds = [slot["kind"] for slot, _ in kernel.tree()]
        assert sorted(kinds) == [Kind.UNTYPED, Kind.TABLE]
        assert kernel.do(kernel.boot, SystemCall.RETYPE, kernel.untyped, 0, 9, int(Kind.UNTYPED), 17) == Error.NONE


TestCapabilities = Capabilities.TestCase
TestCapabilities.settings = settings(
    max_examples=EXAMPLES,
    stateful_step_count=60,
    deadline=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
)
