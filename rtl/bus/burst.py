"""Where the beats of a burst lie (ARM IHI 0022, A3.4.1), for subordinates of a 64-bit bus."""

from amaranth.hdl import Cat, Const, Module, Signal, Value

from . import axi4

DATA_BYTES = 8


def next_address(m: Module, address: Value, *, length: Value, size: Value, burst: Value) -> Signal:
    """The address of the beat after the one at `address`; `length` is the whole burst's, in beats - 1.

    A burst does not cross 4 KiB, so only the low 12 bits are computed: the adder is short.
    """
    counted = Signal(12)
    m.d.comb += counted.eq(((address[:12] >> size[:2]) + 1) << size[:2])
    # the bits that count; the others stay
    mask = Signal(12)
    with m.Switch(burst):
        with m.Case(axi4.Burst.FIXED):
            m.d.comb += mask.eq(0)
        with m.Case(axi4.Burst.WRAP):
            # 2, 4, 8 or 16 beats: the bits below the size of the whole burst go round
            m.d.comb += mask.eq((Cat(Const(7, 3), length[:4]) << size[:2]) >> 3)
        with m.Default():
            m.d.comb += mask.eq(0xFFF)
    result = Signal.like(address)
    m.d.comb += result.eq(Cat(counted & mask | address[:12] & ~mask, address[12:]))
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
