"""Operands of the instruction in D: from the register file, or from those in front of it that have not written yet."""

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .interfaces import Control, OperandA, OperandB
from .resources import reads_in_x


class Producer(wiring.Signature):
    """A result under way (`Out` on the stage): `valid`, and the register `rd` (0: none)."""

    def __init__(self) -> None:
        super().__init__({"valid": Out(1), "rd": Out(5)})


class Source(wiring.Signature):
    """Where an operand comes from (`Out` on who chooses).

    Members
    -------
    from_x, from_m : Out(1)
        It is the result of the instruction in X, or in M.
    settled : Out(64)
        Of the one in W, or what the register file has; 0 where it is one of the others.
    """

    def __init__(self) -> None:
        super().__init__({"from_x": Out(1), "from_m": Out(1), "settled": Out(64)})


class Operands(wiring.Component):
    """Bypass network and hazard detection.

    Members
    -------
    control : In(Control)
        What is in D; its register numbers are 0 where none is read.
    rs1, rs2 : In(5); rs1_data, rs2_data : In(64)
        The register fields as they stand, and what the register file has there.
    immediate : In(64), pc, next_pc : In(64)
        What takes the place of rs1 and rs2 where the ALU's operands are no registers.
    x, m, w : In(Producer), w_value : In(64)
        The instructions in front, the nearest first, and the result of the last.
    x_result_in_m : In(1)
        The result of the one in X comes from M.
    rs1_source, rs2_source : Out(Source)
        The operands, if they are there.
    rs1_late, rs2_late : Out(1)
        The operand is what the instruction in X will give in M.
    hazard : Out(1)
        One of the late ones is needed in X: the instruction has to wait there.
    """

    control: In(Control)
    rs1: In(5)
    rs2: In(5)
    rs1_data: In(64)
    rs2_data: In(64)
    immediate: In(64)
    pc: In(64)
    next_pc: In(64)
    x: In(Producer())
    m: In(Producer())
    w: In(Producer())
    w_value: In(64)
    x_result_in_m: In(1)
    rs1_source: Out(Source())
    rs2_source: Out(Source())
    rs1_late: Out(1)
    rs2_late: Out(1)
    hazard: Out(1)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        waits = Signal(2)
        for n, name in enumerate(("rs1", "rs2")):
            number = getattr(self, name)
            source = getattr(self, f"{name}_source")
            is_it = Signal(3, name=f"{name}_is_in")
            for where, producer in enumerate((self.w, self.m, self.x)):
                m.d.comb += is_it[where].eq(producer.valid & (producer.rd != 0) & (producer.rd == number))
            late = getattr(self, f"{name}_late")
            if name == "rs1":
                other = Value.cast(self.control.operand_a) == OperandA.PC.value
                instead = self.pc
            else:
                other = Value.cast(self.control.operand_b) != OperandB.RS2.value
                instead = Mux(self.control.operand_b == OperandB.IMMEDIATE, self.immediate, self.next_pc)
            settled = Mux(other, instead, Mux(is_it[0], self.w_value, getattr(self, f"{name}_data")))
            m.d.comb += [
                source.from_x.eq(is_it[2] & ~other),
                source.from_m.eq(is_it[1] & ~is_it[2] & ~other),
                source.settled.eq(settled & (other | (~is_it[1] & ~is_it[2])).replicate(64)),
                late.eq(is_it[2] & self.x_result_in_m & (getattr(self.control, name) != 0)),
                waits[n].eq(late & reads_in_x(self.control, name)),
            ]
        m.d.comb += self.hazard.eq(waits.any())
        return m
