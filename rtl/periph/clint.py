"""Core-local interruptor (sifive,clint0): mtime, and the software and timer interrupts of each hart.

The registers are described in `rtl.registers.clint`. mtime counts at 10 MHz whatever the clock is.
"""

from amaranth.hdl import Array, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl import memory_map
from rtl.bus import register_bus
from rtl.periph.rate import Rate
from rtl.registers import clint
from rtl.registers.decoder import RegisterDecoder


class Clint(wiring.Component):
    """The timer and the software interrupts.

    As on QEMU: msip takes 32-bit accesses only, the timer 32 and 64 bits; registers of harts that do not exist read as
    zero; mtimecmp is zero after reset, and gives no interrupt until software has written it.

    Parameters
    ----------
    clock_hz : int
        Nominal clock frequency.
    harts : int
        Number of harts.

    Members
    -------
    bus : In(register_bus)
        The registers.
    time : Out(64)
        mtime.
    software_interrupt, timer_interrupt : Out(harts)
        mip.MSIP and mip.MTIP, bit n for hart n.
    """

    def __init__(self, *, clock_hz: int, harts: int = 1):
        if harts not in range(1, 65):
            raise ValueError(f"harts must be 1..64, not {harts!r}")
        self.clock_hz = clock_hz
        self.harts = harts
        super().__init__(
            {
                "bus": In(register_bus.Signature(addr_width=16)),
                "time": Out(64),
                "software_interrupt": Out(harts),
                "timer_interrupt": Out(harts),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.rate = rate = Rate(ticks_hz=memory_map.TIMEBASE_HZ, clock_hz=self.clock_hz)
        m.submodules.registers = registers = RegisterDecoder(clint.Registers, addr_width=16)
        wiring.connect(m, wiring.flipped(self.bus), registers.bus)
        m.d.comb += registers.refuse.eq((registers.address < clint.Registers.mtimecmp.offset) & self.bus.mask.all())

        # msip
        msip = registers.msip
        m.d.comb += msip.value.pending.eq(self.software_interrupt.bit_select(msip.index_0, 1))
        for hart in range(self.harts):
            with m.If(msip.write & (msip.index_0 == hart)):
                m.d.sync += self.software_interrupt[hart].eq(msip.write_value.pending)

        # mtime
        mtime = registers.mtime
        m.d.comb += mtime.value.eq(self.time)
        m.d.sync += self.time.eq(self.time + rate.ticks)
        with m.If(mtime.write):
            for half in range(2):
                with m.If(mtime.write_bytes[4 * half]):
                    bits = slice(32 * half, 32 * half + 32)
                    m.d.sync += self.time[bits].eq(mtime.write_value[bits])

        # mtimecmp
        mtimecmp = registers.mtimecmp
        compare = [Signal(64, name=f"mtimecmp_{hart}") for hart in range(self.harts)]
        with m.If(mtimecmp.index_0 < self.harts):
            m.d.comb += mtimecmp.value.eq(Array(compare)[mtimecmp.index_0])
        for hart, value in enumerate(compare):
            with m.If(mtimecmp.write & (mtimecmp.index_0 == hart)):
                for half in range(2):
                    with m.If(mtimecmp.write_bytes[4 * half]):
                        bits = slice(32 * half, 32 * half + 32)
                        m.d.sync += value[bits].eq(mtimecmp.write_value[bits])
            armed = Signal(name=f"mtimecmp_{hart}_written")
            with m.If(mtimecmp.write & (mtimecmp.index_0 == hart)):
                m.d.sync += armed.eq(1)
            m.d.sync += self.timer_interrupt[hart].eq(armed & (self.time >= value))
        return m
