"""FENCE.I, SFENCE.VMA and writes of PMP CSRs: nothing new is fetched, what is under way ends, then the flush.

A PMP CSR is written at once, and the TLBs, which hold what PMP allowed before, are flushed afterwards: the instruction
stays in M meanwhile, with the value it read kept here.
"""

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out


class Fences(wiring.Component):
    """Sequencer of the flushes.

    Members
    -------
    fence : In(1), instruction : In(1)
        A fence is in M (held until `ends`); it is FENCE.I.
    pmp_written : In(1), csr_value : In(64)
        A PMP CSR is written at this clock edge; its value before.
    quiet : In(1)
        Fetch has nothing under way, stores are drained.
    flushing : In(1)
        A flush is under way.
    hold : Out(1)
        Begin no fetch.
    flush_cache, flush_translations : Out(1)
        One cycle: begin the flush.
    pmp_started : Out(1), pmp_value : Out(64)
        The flush after a PMP write is waited for; the value to give the instruction.
    ends : Out(1)
        The fence or write is over.
    """

    fence: In(1)
    instruction: In(1)
    pmp_written: In(1)
    csr_value: In(64)
    quiet: In(1)
    flushing: In(1)
    hold: Out(1)
    flush_cache: Out(1)
    flush_translations: Out(1)
    pmp_started: Out(1)
    pmp_value: Out(64)
    ends: Out(1)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        with m.FSM(name="fence"):
            with m.State("No fence"):
                with m.If(self.pmp_written):
                    m.d.sync += [self.pmp_started.eq(1), self.pmp_value.eq(self.csr_value)]
                    m.next = "Wait for the front end and the stores"
                with m.Elif(self.fence):
                    m.next = "Wait for the front end and the stores"
            with m.State("Wait for the front end and the stores"):
                m.d.comb += self.hold.eq(1)
                with m.If(self.quiet & ~self.flushing):
                    with m.If(~self.pmp_started & self.instruction):
                        m.d.comb += self.flush_cache.eq(1)
                    with m.Else():
                        m.d.comb += self.flush_translations.eq(1)
                    m.next = "Flush"
            with m.State("Flush"):
                m.d.comb += self.hold.eq(1)
                with m.If(~self.flushing):
                    m.d.comb += self.ends.eq(1)
                    m.d.sync += self.pmp_started.eq(0)
                    m.next = "No fence"
        return m
