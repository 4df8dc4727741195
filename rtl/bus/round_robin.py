"""Round-robin arbitration that keeps its promise: what was offered stays offered until it is taken."""

from amaranth.hdl import Module, Signal
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
        with m.If(~held):
            with m.Switch(last):
                for position, member in enumerate(self._members):
                    with m.Case(member):
                        # lowest priority first: a later assignment wins
                        for requester in self._members[position::-1] + self._members[:position:-1]:
                            with m.If(self.requests[requester]):
                                m.d.comb += self.grant.eq(requester)
        return m
