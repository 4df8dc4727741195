"""The test finisher (sifive,test1): software ends or resets the machine with one store.

The register is described in `rtl.registers.sifive_test`.
"""

from amaranth.hdl import Module, Mux
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl.bus import register_bus
from rtl.registers import sifive_test
from rtl.registers.decoder import RegisterDecoder
from rtl.registers.sifive_test import Command


class FinishSignature(wiring.Signature):
    """What software asked for.

    Members
    -------
    valid : Out(1)
        Software wrote an end or reset command; high for that one cycle.
    reset : Out(1)
        It is a reset (0x7777); else the machine shall end.
    code : Out(16)
        Exit status: 0 for pass (0x5555), else the code of a fail (0x3333).
    """

    def __init__(self) -> None:
        super().__init__({"valid": Out(1), "reset": Out(1), "code": Out(16)})


class Finisher(wiring.Component):
    """The test finisher. A command is given in the cycle its store ends.

    Members
    -------
    bus : In(register_bus)
        The register.
    finish : Out(FinishSignature)
        What software asked for.
    """

    bus: In(register_bus.Signature(addr_width=12))
    finish: Out(FinishSignature())

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.registers = registers = RegisterDecoder(sifive_test.Registers, addr_width=12)
        wiring.connect(m, wiring.flipped(self.bus), registers.bus)

        port = registers.finish
        # A 16-bit store has no exit status; lanes that are not written may hold anything.
        code = Mux(port.write_bytes.all(), port.write_value.code, 0)
        with m.If(port.write & port.write_bytes[0]):
            with m.Switch(port.write_value.command):
                with m.Case(Command.PASS):
                    m.d.comb += self.finish.valid.eq(1)
                with m.Case(Command.FAIL):
                    m.d.comb += [self.finish.valid.eq(1), self.finish.code.eq(code)]
                with m.Case(Command.RESET):
                    m.d.comb += [self.finish.valid.eq(1), self.finish.reset.eq(1)]
        return m
