"""Round-robin arbitration that keeps its promise: what was offered stays offered until it is taken."""

from amaranth.hdl import Cat, Const, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out


class RoundRobin(wiring.Component):
    """Chooses one of several requesters, at once (combinational), and keeps to it until `advance`.

    After a requester was served it has the lowest priority, so each waits for at most `count - 1` others. Keeping the
    choice is what AXI wants of a channel behind the arbiter (A3.2.1: VALID and the payload hold until READY).

    Parameters
    ----------
    count : int
        Number of requesters.
    members : list of int, optional
        The requesters that ever request; all, unless given. The others cost nothing.

    Members
    -------
    requests : In(count)
        A request, once raised, holds until its grant advances; after that it is looked at again.
    valid : Out(1)
        Somebody is granted.
    grant : Out(range(count))
        Who; counts while `valid`.
    advance : In(1)
        The grant is used up in this cycle. May depend on `valid` and `grant`.
    """

    def __init__(self, *, count: int, members: list[int] | None = None):
        if count < 1:
            raise ValueError(f"count must be 1 or more, not {count!r}")
        self._members = list(range(count)) if members is None else list(members)
        if not self._members or not set(self._members) <= set(range(count)):
            raise ValueError(f"members must be some of 0..{count - 1}, not {members!r}")
        super().__init__(
            {"requests": In(count), "valid": Out(1), "grant": Out(range(count)), "advance": In(1)},
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        held = Signal()
        last = Signal.like(self.grant, init=self._members[-1])

        m.d.comb += self.valid.eq(held | self.requests.any())
        with m.If(self.valid):
            m.d.sync += held.eq(~self.advance)

        if len(self._members) == 1:
            m.d.comb += self.grant.eq(self._members[0])
            return m

        with m.If(self.valid):
            m.d.sync += last.eq(self.grant)
        m.d.comb += self.grant.eq(last)
        asked = Cat(self.requests[member] for member in self._members)
        table = self._table()
        with m.If(~held):
            if len(table) <= 64:
                # one shift of a constant, in simulation and nearly so in LUTs
                m.d.comb += self.grant.eq(table.word_select(Cat(asked, last), len(self.grant)))
            else:
                with m.Switch(last):
                    for member in self._members:
                        with m.Case(member):
                            for requester in reversed(self._order_after(member)):
                                with m.If(self.requests[requester]):
                                    m.d.comb += self.grant.eq(requester)
        return m

    def _order_after(self, last: int) -> list[int]:
        """The members, highest priority first, after `last` was served."""
        position = self._members.index(last) + 1 if last in self._members else 0
        return self._members[position:] + self._members[:position]

    def _table(self) -> Const:
        """The choice for every (last, requests), as one constant with the requests in the lower bits of its index."""
        width = len(self.grant)
        entries = []
        for last in range(1 << width):
            for asked in range(1 << len(self._members)):
                requesters = {member for position, member in enumerate(self._members) if asked >> position & 1}
                entries.append(next((member for member in self._order_after(last) if member in requesters), last))
        return Const(sum(entry << width * n for n, entry in enumerate(entries)), width * len(entries))
