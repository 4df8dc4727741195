"""Where the beats of a burst lie (ARM IHI 0022, A3.4.1), for subordinates of a 64-bit bus."""

from amaranth.hdl import Array, Cat, Const, Module, Signal, Value

from . import axi4

DATA_BYTES = 8


def next_address(m: Module, address: Value, *, length: Value, size: Value, burst: Value) -> Signal:
    """The address of the beat after the one at `address`; `length` is the whole burst's, in beats - 1.

    A burst does not cross 4 KiB, so only the low 12 bits are computed: the adder is short.
    """
    low = Signal(12)
    result = Signal.like(address)
    bytes_per_beat = Array([1, 2, 4, 8])[size[:2]]
    container = Array([0xFFF, 0xFFE, 0xFFC, 0xFF8])[size[:2]]
    m.d.comb += low.eq((address[:12] & container) + bytes_per_beat)
    m.d.comb += result.eq(Cat(low, address[12:]))
    with m.Switch(burst):
        with m.Case(axi4.Burst.FIXED):
            m.d.comb += result.eq(address)
        with m.Case(axi4.Burst.WRAP):
            # 2, 4, 8 or 16 beats: the bits below the size of the whole burst go round
            around = Signal(7)
            m.d.comb += around.eq((Cat(Const(7, 3), length[:4]) << size[:2]) >> 3)
            m.d.comb += result.eq(Cat(low[:7] & around | address[:7] & ~around, address[7:]))
    return result


def lane_mask(m: Module, address: Value, size: Value) -> Signal:
    """The byte lanes that a beat at `address` uses: from the address to the end of its container."""
    container = Signal(DATA_BYTES)
    with m.Switch(size[:2]):
        with m.Case(0):
            m.d.comb += container.eq(1 << address[:3])
        with m.Case(1):
            m.d.comb += container.eq(0b11 << Cat(Const(0, 1), address[1:3]))
        with m.Case(2):
            m.d.comb += container.eq(0b1111 << Cat(Const(0, 2), address[2]))
        with m.Default():
            m.d.comb += container.eq(0xFF)
    mask = Signal(DATA_BYTES)
    m.d.comb += mask.eq(container & (Const(0xFF, DATA_BYTES) << address[:3])[:DATA_BYTES])
    return mask
