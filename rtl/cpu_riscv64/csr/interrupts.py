"""Which interrupt is to be taken now (Privileged 3.1.9 and 4.1.3)."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..interfaces import Privilege
from .table import MEI, MSI, MTI, SEI, SSI, STI

# Highest first. Interrupt vectors inside the register file have one bit for each of these, in this order: six bits in a
# row are one word operation in simulation, twelve with gaps are a dozen.
PRIORITY = (MEI, MSI, MTI, SEI, SSI, STI)


def spread(dense: Value) -> Value:
    """From a vector in `PRIORITY` order to the bit positions of mip and mie."""
    return Cat(dense[PRIORITY.index(n)] if n in PRIORITY else 0 for n in range(12))


def dense(spread: Value) -> Value:
    """The reverse."""
    return Cat(spread[n] for n in PRIORITY)


class InterruptChoice(wiring.Component):
    """Chooses among the pending and enabled interrupts the one to take in the current mode.

    Interrupts that are not delegated trap to M-mode: always from S and U, in M-mode while MIE. Delegated ones trap to
    S-mode: always from U, in S-mode while SIE, never in M-mode. All that go to M-mode come before all that go to
    S-mode; among equals the order is that of `PRIORITY`. Combinational.

    Members
    -------
    pending, enabled, delegated : In(6)
        mip, mie and mideleg in `PRIORITY` order.
    privilege : In(Privilege)
        Current mode.
    mie, sie : In(1)
        mstatus.MIE and mstatus.SIE.
    valid : Out(1)
        An interrupt is to be taken.
    cause : Out(6)
        Its number, while `valid`.
    wake : Out(1)
        Some interrupt is pending and enabled in mie, whatever mstatus and mideleg say: ends WFI (Privileged 3.3.3).
    """

    pending: In(6)
    enabled: In(6)
    delegated: In(6)
    privilege: In(Privilege)
    mie: In(1)
    sie: In(1)
    valid: Out(1)
    cause: Out(6)
    wake: Out(1)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        ready, machine, supervisor, chosen = Signal(6), Signal(6), Signal(6), Signal(6)
        to_machine = (self.privilege != Privilege.MACHINE) | self.mie
        to_supervisor = (self.privilege == Privilege.USER) | ((self.privilege == Privilege.SUPERVISOR) & self.sie)
        m.d.comb += [
            ready.eq(self.pending & self.enabled),
            machine.eq(Mux(to_machine, ready & ~self.delegated, 0)),
            supervisor.eq(Mux(to_supervisor, ready & self.delegated, 0)),
            chosen.eq(Mux(machine != 0, machine, supervisor)),
            self.valid.eq(chosen != 0),
            self.wake.eq(ready != 0),
        ]
        cause: Value = Mux(chosen[-2], PRIORITY[-2], PRIORITY[-1])
        for bit in reversed(range(len(PRIORITY) - 2)):
            cause = Mux(chosen[bit], PRIORITY[bit], cause)
        m.d.comb += self.cause.eq(cause)
        return m
