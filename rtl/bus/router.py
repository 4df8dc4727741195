"""Where a manager's transactions go, and when they may."""

from collections.abc import Sequence

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .address_map import Window


class Router(wiring.Component):
    """One manager's address decoder, for one direction, and the rule that it has one destination at a time.

    Parameters
    ----------
    windows : list of (Window, int)
        Windows and the subordinate's number of each.
    elsewhere : int
        Number of the subordinate for all other addresses.
    addr_width : int
        Address bits.
    outstanding : int
        Transactions that may be outstanding.

    Members
    -------
    address : In(addr_width)
        Of the transaction that the manager offers.
    wanted : Out
        The subordinate it is for.
    allowed : Out(1)
        It may go there now. Once 1, it holds until `accepted`.
    accepted, completed : In(1)
        A transaction begins, a transaction ends.
    current : Out
        The subordinate that the outstanding transactions are at.
    """

    def __init__(self, *, windows: Sequence[tuple[Window, int]], elsewhere: int, addr_width: int, outstanding: int):
        self._windows = list(windows)
        self._elsewhere = elsewhere
        self._outstanding = outstanding
        self.destinations = {elsewhere, *(number for _, number in windows)}
        number = range(max(self.destinations) + 1)
        super().__init__(
            {
                "address": In(addr_width),
                "wanted": Out(number),
                "allowed": Out(1),
                "accepted": In(1),
                "completed": In(1),
                "current": Out(number),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        if len(self.destinations) == 1:
            m.d.comb += [self.wanted.eq(self._elsewhere), self.current.eq(self._elsewhere), self.allowed.eq(1)]
            return m

        m.d.comb += self.wanted.eq(self._elsewhere)
        for position, (window, number) in enumerate(self._windows):
            with m.If(window.contains(self.address)) if position == 0 else m.Elif(window.contains(self.address)):
                m.d.comb += self.wanted.eq(number)

        count = Signal(range(self._outstanding + 1))
        same = self.wanted == self.current
        m.d.comb += self.allowed.eq((count == 0) | (same & (count != self._outstanding)))
        with m.If(self.accepted):
            m.d.sync += self.current.eq(self.wanted)
            with m.If(~self.completed):
                m.d.sync += count.eq(count + 1)
        with m.Elif(self.completed):
            m.d.sync += count.eq(count - 1)
        return m
