"""The integer registers."""

from amaranth.hdl import Module
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out


class RegisterFile(wiring.Component):
    """32 x 64-bit registers, two combinational read ports, one write port; x0 is never written and stays 0.

    Members
    -------
    rs1, rs2 : In(5); rs1_data, rs2_data : Out(64)
        Read ports: the value before the write at this clock edge.
    write : In(1), rd : In(5), rd_data : In(64)
        Write port; the caller never writes x0.
    """

    rs1: In(5)
    rs2: In(5)
    rs1_data: Out(64)
    rs2_data: Out(64)
    write: In(1)
    rd: In(5)
    rd_data: In(64)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.registers = registers = memory.Memory(shape=64, depth=32, init=[])
        write = registers.write_port()
        m.d.comb += [write.addr.eq(self.rd), write.data.eq(self.rd_data), write.en.eq(self.write)]
        for number, value in ((self.rs1, self.rs1_data), (self.rs2, self.rs2_data)):
            read = registers.read_port(domain="comb")
            m.d.comb += [read.addr.eq(number), value.eq(read.data)]
        return m
