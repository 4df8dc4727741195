"""A stand-in for the SoC: its ports, and instead of a core a machine that interprets 64-bit commands from DRAM.

It proves harness, build, memory model, console and checkpoints without a core, and builds in seconds.
A command is `operation << 56 | argument`; see `Op`. Execution starts at DRAM's base.
"""

import enum
import struct

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring

from rtl.bus import axi4
from rtl.soc import Soc, SocConfig

BASE = 0x8000_0000


class Op(enum.IntEnum):
    """What a command does; `next` is the word behind it."""

    PRINT = 0  # argument's low byte to the UART
    FINISH = 1  # argument to the finisher
    STORE = 2  # next at address argument
    COPY = 3  # the line at argument to address next, as bursts
    ECHO = 4  # a byte from the UART back to it
    JUMP = 5  # to argument
    WAIT = 6  # argument cycles
    EXPECT = 7  # the doubleword at argument is next, else finish with 0xbad


def program(*words: int | tuple[Op, int] | tuple[Op, int, int]) -> bytes:
    """Assembles commands."""
    flat: list[int] = []
    for word in words:
        if isinstance(word, int):
            flat.append(word)
        else:
            flat.append(word[0] << 56 | word[1])
            flat.extend(word[2:])
    return b"".join(struct.pack("<Q", word) for word in flat)


def text(string: str) -> list[tuple[Op, int]]:
    """Commands that print `string`."""
    return [(Op.PRINT, ord(character)) for character in string]


class StubSoc(wiring.Component):
    """Has the ports of `rtl.soc.Soc`."""

    def __init__(self, config: SocConfig):
        self.config = config
        soc = Soc(config)
        for unused in (soc, soc._crossbar):
            unused._MustUse__used = True
        super().__init__(soc.signature)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        pc = Signal(36, init=BASE)
        command = Signal(64)
        operand = Signal(64)
        beat = Signal(3)
        wait = Signal(56)
        line = [Signal(64, name=f"line{n}") for n in range(8)]
        operation, argument = command[56:], command[:56]
        dram = self.dram
        m.d.comb += [self.pc.eq(pc), self.privilege.eq(3), dram.r.ready.eq(1)]
        m.d.sync += self.mtime.eq(self.mtime + 10)
        m.d.comb += [dram.ar.payload.size.eq(3), dram.ar.payload.burst.eq(axi4.Burst.INCR)]
        m.d.comb += [
            dram.aw.payload.size.eq(3),
            dram.aw.payload.burst.eq(axi4.Burst.INCR),
            dram.w.payload.strb.eq(0xFF),
        ]

        def read(address, target, following: str, beats: int = 1) -> None:
            """Issues a read in this state; the next one collects."""
            m.d.comb += [dram.ar.valid.eq(1), dram.ar.payload.addr.eq(address), dram.ar.payload.len.eq(beats - 1)]
            with m.If(dram.ar.ready):
                m.next = following

        def collect(target, following: str) -> None:
            with m.If(dram.r.valid):
                m.d.sync += target.eq(dram.r.payload.data)
                m.next = following

        with m.FSM():
            with m.State("FETCH"):
                read(pc, command, "COMMAND")
            with m.State("COMMAND"):
                collect(command, "DECODE")
            with m.State("DECODE"):
                needs_operand = operation.matches(Op.STORE, Op.COPY, Op.EXPECT)
                with m.If(needs_operand):
                    read(pc + 8, operand, "OPERAND")
                with m.Else():
                    m.d.sync += wait.eq(argument)
                    m.next = "EXECUTE"
            with m.State("OPERAND"):
                collect(operand, "EXECUTE")
            with m.State("EXECUTE"):
                with m.Switch(operation):
                    with m.Case(Op.PRINT):
                        m.d.comb += [self.uart_tx.valid.eq(1), self.uart_tx.payload.eq(argument)]
                        with m.If(self.uart_tx.ready):
                            m.next = "RETIRE"
                    with m.Case(Op.FINISH):
                        m.d.comb += [self.finish.valid.eq(1), self.finish.code.eq(argument)]
                        m.next = "RETIRE"
                    with m.Case(Op.STORE):
                        m.d.sync += line[0].eq(operand)
                        m.d.comb += [dram.aw.valid.eq(1), dram.aw.payload.addr.eq(argument)]
                        with m.If(dram.aw.ready):
                            m.next = "WRITE"
                    with m.Case(Op.COPY):
                        read(argument, line[0], "READ LINE", beats=8)
                    with m.Case(Op.ECHO):
                        m.d.comb += [
                            self.uart_tx.valid.eq(self.uart_rx.valid),
                            self.uart_tx.payload.eq(self.uart_rx.payload),
                            self.uart_rx.ready.eq(self.uart_tx.ready),
                        ]
                        with m.If(self.uart_rx.valid & self.uart_tx.ready):
                            m.next = "RETIRE"
                    with m.Case(Op.JUMP):
                        m.d.sync += pc.eq(argument)
                        m.d.comb += self.retire.eq(1)
                        m.next = "FETCH"
                    with m.Case(Op.WAIT):
                        m.d.sync += wait.eq(wait - 1)
                        with m.If(wait == 0):
                            m.next = "RETIRE"
                    with m.Case(Op.EXPECT):
                        read(argument, line[0], "COMPARE READ")
            with m.State("COMPARE READ"):
                collect(line[0], "COMPARE")
            with m.State("COMPARE"):
                with m.If(line[0] != operand):
                    m.d.comb += [self.finish.valid.eq(1), self.finish.code.eq(0xBAD)]
                m.next = "RETIRE"
            with m.State("READ LINE"):
                with m.If(dram.r.valid):
                    m.d.sync += [line[n].eq(line[n + 1]) for n in range(7)] + [line[7].eq(dram.r.payload.data)]
                    with m.If(dram.r.payload.last):
                        m.next = "WRITE ADDRESS"
            with m.State("WRITE ADDRESS"):
                m.d.comb += [dram.aw.valid.eq(1), dram.aw.payload.addr.eq(operand), dram.aw.payload.len.eq(7)]
                with m.If(dram.aw.ready):
                    m.next = "WRITE"
            with m.State("WRITE"):
                last = (operation == Op.STORE) | (beat == 7)
                m.d.comb += [dram.w.valid.eq(1), dram.w.payload.data.eq(line[0]), dram.w.payload.last.eq(last)]
                with m.If(dram.w.ready):
                    target = Signal(36)
                    m.d.comb += target.eq(operand + (beat << 3))
                    with m.If(operation == Op.STORE):
                        m.d.comb += target.eq(argument)
                    m.d.comb += [
                        self.store_valid.eq(1),
                        self.store_address.eq(target),
                        self.store_data.eq(line[0]),
                        self.store_mask.eq(0xFF),
                    ]
                    m.d.sync += [line[n].eq(line[n + 1]) for n in range(7)] + [beat.eq(beat + 1)]
                    with m.If(last):
                        m.d.sync += beat.eq(0)
                        m.next = "RESPONSE"
            with m.State("RESPONSE"):
                m.d.comb += dram.b.ready.eq(1)
                with m.If(dram.b.valid):
                    m.next = "RETIRE"
            with m.State("RETIRE"):
                m.d.comb += self.retire.eq(1)
                step = Signal(36)
                m.d.comb += step.eq(8)
                with m.If(operation.matches(Op.STORE, Op.COPY, Op.EXPECT)):
                    m.d.comb += step.eq(16)
                m.d.sync += pc.eq(pc + step)
                m.next = "FETCH"
        if self.config.core.rvfi:
            m.d.comb += [
                self.rvfi.valid.eq(self.retire),
                self.rvfi.insn.eq(0x0000_0013),
                self.rvfi.pc_rdata.eq(pc),
                self.rvfi.mode.eq(3),
            ]
        return m
