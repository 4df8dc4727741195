"""Between the fetch buffer and decode: aligned, expanded instructions in registers.

Without it one path would run from the buffer's blocks through alignment, expansion, decoding and the hazards back to
what the buffer does next. With it the buffer knows from a register whether its instruction is taken, and decode begins
with registers. It costs a cycle after each redirect.
"""

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..compressed import Expander
from ..config import CoreConfig
from .buffer import InstructionSignature


class DecodeSignature(wiring.Signature):
    """The next instruction for decode, as `InstructionSignature` has it, and expanded (`Out` on the queue).

    Members
    -------
    raw : Out(32)
        Its bits; the upper half is 0 where it is compressed.
    insn : Out(32)
        The 32-bit instruction it is or stands for.
    compressed, illegal : Out(1)
        It was compressed; and it is a reserved encoding.
    """

    def __init__(self, config: CoreConfig):
        members = dict(InstructionSignature(config).members)
        super().__init__({**members, "insn": Out(32), "compressed": Out(1), "illegal": Out(1)})


class InstructionQueue(wiring.Component):
    """Two instructions in registers.

    Parameters
    ----------
    config : CoreConfig

    Members
    -------
    aligned : In(InstructionSignature)
        From the fetch buffer.
    redirect : In(1)
        Drop everything.
    instruction : Out(DecodeSignature)
        The oldest instruction.
    """

    def __init__(self, config: CoreConfig):
        self.config = config
        super().__init__(
            {
                "aligned": In(InstructionSignature(config)),
                "redirect": In(1),
                "instruction": Out(DecodeSignature(config)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        out = self.instruction
        m.submodules.expander = expander = Expander()
        m.d.comb += expander.raw.eq(self.aligned.raw)

        handled = ("valid", "consume", "next_pc", "raw")
        names = [name for name in InstructionSignature(self.config).members if name not in handled]
        comes = {name: Value.cast(getattr(self.aligned, name)) for name in names}
        comes |= {
            "low": self.aligned.raw[:16],
            "insn": expander.insn,
            "compressed": expander.compressed,
            "illegal": expander.illegal,
        }
        head = {name: Signal(len(value), name=f"head_{name}") for name, value in comes.items()}
        behind = {name: Signal(len(value), name=f"behind_{name}") for name, value in comes.items()}
        head_valid = Signal()
        behind_valid = Signal()
        moves = Signal()  # the head is free, or becomes so
        m.d.comb += [
            moves.eq(~head_valid | out.consume),
            self.aligned.consume.eq(~behind_valid),
        ]
        with m.If(~behind_valid):
            m.d.sync += [behind[name].eq(value) for name, value in comes.items()]
        with m.If(moves):
            m.d.sync += [head[name].eq(Mux(behind_valid, behind[name], value)) for name, value in comes.items()]
            m.d.sync += [head_valid.eq(behind_valid | self.aligned.valid), behind_valid.eq(0)]
        with m.Elif(self.aligned.valid):
            m.d.sync += behind_valid.eq(1)
        with m.If(self.redirect):
            m.d.sync += [head_valid.eq(0), behind_valid.eq(0)]

        m.d.comb += [
            out.valid.eq(head_valid),
            *(Value.cast(getattr(out, name)).eq(head[name]) for name in (*names, "insn", "compressed", "illegal")),
            out.raw.eq(Mux(out.compressed, head["low"], out.insn)),
            out.next_pc.eq(Cat(out.pc[0], out.pc[1:] + Mux(out.compressed, 1, 2))),
        ]
        return m
