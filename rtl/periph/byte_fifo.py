"""A small byte FIFO that can be emptied and says how full it is: a 16550's, for one."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out


class ByteFifo(wiring.Component):
    """FIFO of bytes in distributed RAM.

    Parameters
    ----------
    depth : int
        Bytes; a power of two.

    Members
    -------
    push, push_data : In
        Adds a byte. Not while full, unless with `clear`.
    pop : In(1)
        Takes `head` away. Not while empty.
    clear : In(1)
        Drops everything; a byte pushed in the same cycle is then the only one.
    head : Out(8)
        The oldest byte, while `level` is not 0.
    level : Out
        Bytes inside.
    """

    def __init__(self, *, depth: int):
        if depth < 2 or depth & (depth - 1):
            raise ValueError(f"depth must be a power of two, 2 or more, not {depth!r}")
        self.depth = depth
        super().__init__(
            {
                "push": In(1),
                "push_data": In(8),
                "pop": In(1),
                "clear": In(1),
                "head": Out(8),
                "level": Out(range(depth + 1)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.storage = storage = Memory(shape=8, depth=self.depth, init=[])
        write_port = storage.write_port()
        read_port = storage.read_port(domain="comb")
        write_at = Signal(range(self.depth))
        read_at = Signal(range(self.depth))
        m.d.comb += [
            write_port.addr.eq(write_at),
            write_port.data.eq(self.push_data),
            write_port.en.eq(self.push),
            read_port.addr.eq(read_at),
            self.head.eq(read_port.data),
        ]
        with m.If(self.push):
            m.d.sync += write_at.eq(write_at + 1)
        with m.If(self.clear):
            m.d.sync += [read_at.eq(write_at), self.level.eq(self.push)]
        with m.Else():
            with m.If(self.pop):
                m.d.sync += read_at.eq(read_at + 1)
            with m.If(self.push != self.pop):
                m.d.sync += self.level.eq(Mux(self.push, self.level + 1, self.level - 1))
        return m
