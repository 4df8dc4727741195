"""Which interrupt is to be taken now (Privileged 3.1.9 and 4.1.3)."""

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..interfaces import Privilege
from .table import MEI, MSI, MTI, SEI, SSI, STI

PRIORITY = (MEI, MSI, MTI, SEI, SSI, STI)


class InterruptChoice(wiring.Component):
    """Chooses among the pending and enabled interrupts the one to take in the current mode.

    Interrupts that are not delegated trap to M-mode: always from S and U, in M-mode while MIE. Delegated ones trap to
    S-mode: always from U, in S-mode while SIE, never in M-mode. All that go to M-mode come before all that go to
    S-mode; among equals the order is MEI, MSI, MTI, SEI, SSI, STI. Combinational.

    Members
    -------
    pending, enabled, delegated : In(12)
        mip, mie and mideleg.
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

    pending: In(12)
    enabled: In(12)
    delegated: In(12)
    privilege: In(Privilege)
    mie: In(1)
    sie: In(1)
    valid: Out(1)
    cause: Out(6)
    wake: Out(1)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        ready = self.pending & self.enabled
        m.d.comb += self.wake.eq(ready != 0)
        # Usually nothing is ready: then nothing below is worth evaluating.
        with m.If(self.wake):
            machine = (self.privilege != Privilege.MACHINE) | self.mie
            supervisor = (self.privilege == Privilege.USER) | ((self.privilege == Privilege.SUPERVISOR) & self.sie)
            for taken, candidates in ((supervisor, ready & self.delegated), (machine, ready & ~self.delegated)):
                with m.If(taken):
                    for number in reversed(PRIORITY):  # the last assignment wins
                        with m.If(candidates[number]):
                            m.d.comb += [self.valid.eq(1), self.cause.eq(number)]
        return m
