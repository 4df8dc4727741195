"""From a CSR's address to what the register file must know of it: a read-only block memory made from the table.

It is addressed one stage ahead and its answer passes a register, so that an instruction finds it in its second cycle in
M: no gates, no delay, and one load in simulation, where a comparator for every address took longer than all the rest of
the register file.
"""

from amaranth.hdl import Module, Mux, Value
from amaranth.lib import data, enum, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from .table import Csr, Guard, Source


class Check(enum.Enum, shape=2):
    """`Guard` in hardware."""

    NONE = 0
    COUNTER = 1
    STIMECMP = 2
    SATP = 3


class Decoded(data.Struct):
    """What an address means: all zero where there is no CSR.

    `place` numbers what is read and written: CSRs that behave alike share one (all counters, all that read as zero).
    """

    place: 6
    check: Check
    flush: 1
    pmp: 1


def places(table: tuple[Csr, ...]) -> dict[str, int]:
    """The place of each CSR of the table, by name: 1 and up."""
    numbers: dict[object, int] = {}
    result = {}
    for csr in table:
        key: object = csr.name
        if csr.source is Source.CONSTANT:
            key = csr.reset
        elif csr.source in (Source.PMP, Source.COUNTER):
            key = csr.source
        result[csr.name] = numbers.setdefault(key, len(numbers) + 1)
    if len(numbers) >= 1 << 6:
        raise ValueError(f"{len(numbers)} different CSRs do not fit Decoded.place; make it wider")
    return result


def select(index: Value, values: dict[int, Value]) -> Value:
    """values[index], 0 where there is none: a tree of two-way multiplexers, the cheapest form in simulation."""

    def tree(base: int, bit: int) -> Value | None:
        if bit < 0:
            return values.get(base)
        low, high = tree(base, bit - 1), tree(base + (1 << bit), bit - 1)
        if low is None or high is None:
            return high if low is None else low  # there is nothing at the other: don't care
        return Mux(index[bit], high, low)

    result = tree(0, len(index) - 1)
    assert result is not None
    return result


class Decoder(wiring.Component):
    """Looks an address up.

    Parameters
    ----------
    table : tuple of Csr
        The CSRs that exist.

    Members
    -------
    enable : In(1)
        Looks `address` up at this clock edge; the answer comes two cycles later, and stays until the next one's does.
    address : In(12)
        CSR address.
    decoded : Out(Decoded)
        What the address looked up last means.
    """

    def __init__(self, table: tuple[Csr, ...]):
        self._table = table
        super().__init__({"enable": In(1), "address": In(12), "decoded": Out(Decoded)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        place = places(self._table)
        entries = [{"place": 0, "check": Check.NONE, "flush": 0, "pmp": 0} for _ in range(4096)]
        checks = {
            Guard.NONE: Check.NONE,
            Guard.COUNTER: Check.COUNTER,
            Guard.STIMECMP: Check.STIMECMP,
            Guard.SATP: Check.SATP,
        }
        for csr in self._table:
            for address in csr.addresses:
                entries[address] = {
                    "place": place[csr.name],
                    "check": checks[csr.guard],
                    "flush": csr.flush,
                    "pmp": csr.source is Source.PMP,
                }
        m.submodules.rom = rom = Memory(shape=Decoded, depth=4096, init=entries)
        port = rom.read_port()
        m.d.comb += [port.en.eq(self.enable), port.addr.eq(self.address)]
        m.d.sync += self.decoded.eq(port.data)
        return m
