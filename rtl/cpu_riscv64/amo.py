"""The arithmetic of atomic memory operations (Unprivileged chapter 14).

One subtracter serves addition and comparison. The upper halves do not disturb a 32-bit operation: its sum is in the low
half, and for less-than the sign bits are taken from bit 31.
"""

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .interfaces import AmoOp


class AmoAlu(wiring.Component):
    """Computes what an AMO writes to memory. Combinational.

    Members
    -------
    op : In(AmoOp)
        The operation.
    size : In(2)
        2 for .W, 3 for .D.
    memory : In(64)
        What memory holds, moved to bit 0; bits above the size do not matter.
    register : In(64)
        rs2; bits above the size do not matter.
    result : Out(64)
        The new value, in bits 0 up to the size; the bits above have any value.
    """

    op: In(AmoOp)
    size: In(2)
    memory: In(64)
    register: In(64)
    result: Out(64)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        memory, register = self.memory, self.register
        op = Value.cast(self.op)
        compare, swap = op[2], op[3]
        unsigned, maximum = op[1], op[0]

        addend = Signal(64)
        total = Signal(64)
        m.d.comb += [
            addend.eq(Mux(compare, ~register, register)),
            total.eq(memory + addend + compare),
        ]

        def sign(value: Value) -> Value:
            return Mux(self.size[0], value[63], value[31])

        less = Mux(
            sign(memory) ^ sign(register),
            Mux(unsigned, sign(register), sign(memory)),
            sign(total),
        )
        take_register = swap | (compare & ~(less ^ maximum))
        with m.If(take_register):
            m.d.comb += self.result.eq(register)
        with m.Elif(compare):
            m.d.comb += self.result.eq(memory)
        with m.Else():
            m.d.comb += self.result.eq(
                Mux(op[1], Mux(op[0], memory & register, memory | register), Mux(op[0], memory ^ register, total))
            )
        return m
