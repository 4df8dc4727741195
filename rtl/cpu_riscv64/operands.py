"""Operands of the instruction in D: from the register file, or from those in front of it that have not written yet."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .interfaces import Control
from .resources import reads_in_x


class Producer(wiring.Signature):
    """A result under way (`Out` on the stage): `valid`, the register `rd` (0: none), its `value`."""

    def __init__(self) -> None:
        super().__init__({"valid": Out(1), "rd": Out(5), "value": Out(64)})


class Operands(wiring.Component):
    """Bypass network and hazard detection.

    Members
    -------
    control : In(Control)
        What is in D; its register numbers are 0 where none is read.
    rs1, rs2 : In(5); rs1_data, rs2_data : In(64)
        The register fields as they stand, and what the register file has there.
    x, m, w : In(Producer)
        The instructions in front, the nearest first.
    x_result_in_m : In(1)
        The result of the one in X comes from M.
    rs1_value, rs2_value : Out(64)
        The operands, if they are there.
    rs1_late, rs2_late : Out(1)
        The operand is what the instruction in X will give in M.
    hazard : Out(1)
        One of the late ones is needed in X: the instruction has to wait.
    """

    control: In(Control)
    rs1: In(5)
    rs2: In(5)
    rs1_data: In(64)
    rs2_data: In(64)
    x: In(Producer())
    m: In(Producer())
    w: In(Producer())
    x_result_in_m: In(1)
    rs1_value: Out(64)
    rs2_value: Out(64)
    rs1_late: Out(1)
    rs2_late: Out(1)
    hazard: Out(1)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        waits = Signal(2)
        for n, name in enumerate(("rs1", "rs2")):
            number = getattr(self, name)
            value = getattr(self, f"{name}_data")
            is_it = Signal(3, name=f"{name}_is_in")
            for where, producer in enumerate((self.w, self.m, self.x)):
                m.d.comb += is_it[where].eq(producer.valid & (producer.rd != 0) & (producer.rd == number))
                value = Mux(is_it[where], producer.value, value)
            late = getattr(self, f"{name}_late")
            m.d.comb += [
                getattr(self, f"{name}_value").eq(value),
                late.eq(is_it[2] & self.x_result_in_m & (getattr(self.control, name) != 0)),
                waits[n].eq(late & reads_in_x(self.control, name)),
            ]
        m.d.comb += self.hazard.eq(waits.any())
        return m
