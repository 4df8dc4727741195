"""The decoder that is generated from a register description, against a model in Python, with random stalls."""

import random
from typing import Any

import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from rtl.bus import register_bus
from rtl.registers import Access, Field, Register, RegisterFile
from rtl.registers.decoder import RegisterDecoder
from rtl.registers.description import Array
from tests.rtl.periph.register_access import BusError, access, read, refused, write
from tests.rtl.periph.simulate import simulate


class Bytes(RegisterFile, size=0x20, access_bytes=(1, 2, 4, 8)):
    """Registers of every width, written by bytes."""

    byte = Register(0, 8, Access.RW, reset=0x12)
    masked = Register(1, 8, Access.RW, reset=0xF0, fields={"low": Field(0, 3), "fixed": Field(4, 4, access=Access.RO)})
    half = Register(2, 16, Access.RW, reset=0x3456)
    word = Register(4, 32, Access.RW)
    double = Register(8, 64, Access.RW, reset=0x0123_4567_89AB_CDEF)
    constant = Register(0x10, 32, Access.RO, reset=0xCAFE)
    hidden = Register(0x14, 32, Access.WO)


class BytesModel:
    """What software sees of it."""

    def __init__(self) -> None:
        self.bytes = bytearray(0x20)
        self.writable = bytearray(0x20)
        self.readable = bytearray(0x20)
        for register in Bytes.registers().values():
            span = slice(register.offset, register.offset + register.bytes)
            self.bytes[span] = register.reset.to_bytes(register.bytes, "little")
            self.writable[span] = register.writable_mask.to_bytes(register.bytes, "little")
            self.readable[span] = bytes([0xFF if register.access.readable else 0]) * register.bytes

    def write(self, address: int, value: int, size: int) -> None:
        for n, byte in enumerate(value.to_bytes(size, "little"), start=address):
            self.bytes[n] = self.bytes[n] & ~self.writable[n] | byte & self.writable[n]

    def read(self, address: int, size: int) -> int:
        span = range(address, address + size)
        return int.from_bytes(bytes(self.bytes[n] & self.readable[n] for n in span), "little")


@pytest.mark.parametrize("seed", range(2))
def test_registers_of_all_widths_behave_as_bytes_in_memory_with_masks(seed: int) -> None:
    print(f"seed {seed}")
    rng = random.Random(seed)
    decoder = RegisterDecoder(Bytes, addr_width=6)
    model = BytesModel()

    async def testbench(ctx: Any) -> None:
        for _ in range(400):
            size = rng.choice((1, 2, 4, 8))
            address = rng.randrange(0, Bytes.size, size)
            ctx.set(decoder.ready, 1)
            if rng.random() < 0.5:
                value = rng.getrandbits(8 * size)
                await write(ctx, decoder.bus, address, value, size)
                model.write(address, value, size)
            else:
                assert await read(ctx, decoder.bus, address, size) == model.read(address, size), hex(address)

    simulate(decoder, testbench)


@pytest.mark.parametrize("answer_later", [False, True])
def test_strobes_come_once_an_access(answer_later: bool) -> None:
    decoder = RegisterDecoder(Bytes, addr_width=6, answer_later=answer_later)
    strobes = []

    async def watch(ctx: Any) -> None:
        port = decoder.word
        signals = (port.read, port.write, port.write_value, port.write_bytes)
        async for _, _, was_read, written, value, lanes in ctx.tick().sample(*signals):
            if was_read or written:
                strobes.append(("write", value, lanes) if written else ("read",))

    async def device(ctx: Any) -> None:
        rng = random.Random(0)
        while True:
            ctx.set(decoder.ready, rng.random() < 0.2)
            if answer_later:
                ctx.set(decoder.hold, rng.random() < 0.7)
            await ctx.tick()

    async def testbench(ctx: Any) -> None:
        await write(ctx, decoder.bus, 4, 0x1122_3344, 4)
        await read(ctx, decoder.bus, 4, 4)
        await write(ctx, decoder.bus, 6, 0x5566, 2)
        await read(ctx, decoder.bus, 0, 4)
        await read(ctx, decoder.bus, 0, 8)

    simulate(decoder, testbench, watch, device)
    assert strobes[:2] == [("write", 0x1122_3344, 0b1111), ("read",)]
    assert strobes[2][0] == "write" and strobes[2][1] >> 16 == 0x5566 and strobes[2][2] == 0b1100
    assert strobes[3:] == [("read",)]


def test_a_refused_access_changes_nothing() -> None:
    decoder = RegisterDecoder(Bytes, addr_width=6)

    async def testbench(ctx: Any) -> None:
        ctx.set(decoder.refuse, 1)
        assert await refused(ctx, decoder.bus, 8, 8, write=True)
        ctx.set(decoder.refuse, 0)
        assert await read(ctx, decoder.bus, 8, 8) == Bytes.double.reset
        assert await refused(ctx, decoder.bus, 0x20, 8)
        for mask in (0b0101_0000, 0b0110_0000, 0b1110_0000):  # no access of the core looks like this
            ctx.set(decoder.bus.mask, mask)
            ctx.set(decoder.bus.valid, 1)
            assert ctx.get(decoder.bus.error)

    simulate(decoder, testbench)


class Banked(RegisterFile, size=4, access_bytes=(1,), gaps="error"):
    """Two registers at one address."""

    first = Register(0, 8, Access.RW, bank=("select", "bank", 0))
    second = Register(0, 8, Access.RW, bank=("select", "bank", 1))
    select = Register(1, 8, Access.RW, fields={"bank": Field(0)})


def test_a_bank_shows_its_own_registers() -> None:
    decoder = RegisterDecoder(Banked, addr_width=3)

    async def testbench(ctx: Any) -> None:
        await write(ctx, decoder.bus, 0, 0x11, 1)
        await write(ctx, decoder.bus, 1, 1, 1)
        assert await read(ctx, decoder.bus, 0, 1) == 0
        await write(ctx, decoder.bus, 0, 0x22, 1)
        await write(ctx, decoder.bus, 1, 0, 1)
        assert await read(ctx, decoder.bus, 0, 1) == 0x11
        assert ctx.get(decoder.second.value) == 0x22
        with pytest.raises(BusError):
            await read(ctx, decoder.bus, 2, 1)

    simulate(decoder, testbench)


class Tables(RegisterFile, size=0x400, access_bytes=(4, 8), gaps="ones"):
    """Arrays of one and two dimensions, an odd start among them."""

    numbers = Register(0x4, 32, Access.RW, array=(Array(30, 4),))
    wide = Register(0x100, 64, Access.RW, array=(Array(5, 8),))
    grid = Register(0x200, 32, Access.RW, array=(Array(3, 0x40), Array(2, 4)))


class TablesInMemory(wiring.Component):
    """Gives every element its own address as value."""

    bus: In(register_bus.Signature(addr_width=10))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.registers = registers = RegisterDecoder(Tables, addr_width=10)
        wiring.connect(m, wiring.flipped(self.bus), registers.bus)
        grid = registers.grid
        m.d.comb += [
            registers.numbers.value.eq(0x4 + 4 * registers.numbers.index_0),
            registers.wide.value.eq(0x100 + 8 * registers.wide.index_0),
            grid.value.eq(0x200 + 0x40 * grid.index_0 + 4 * grid.index_1),
        ]
        return m


def test_every_element_of_an_array_is_found_and_nothing_else() -> None:
    tables = TablesInMemory()
    elements = {address for register in Tables.registers().values() for address in register.addresses()}

    async def testbench(ctx: Any) -> None:
        for address in range(0, Tables.size, 4):
            upper_half = address - 4 in elements and 0x100 <= address < 0x128
            expected = address if address in elements else 0xFFFF_FFFF
            if not upper_half:
                assert await read(ctx, tables.bus, address, 4) == expected, hex(address)

    simulate(tables, testbench)


def test_write_data_reaches_an_array_from_both_halves_of_the_bus() -> None:
    decoder = RegisterDecoder(Tables, addr_width=10)
    seen = []

    async def watch(ctx: Any) -> None:
        port = decoder.numbers
        async for _, _, written, index, value in ctx.tick().sample(port.write, port.index_0, port.write_value):
            if written:
                seen.append((index, value))

    async def testbench(ctx: Any) -> None:
        for index in (0, 1, 28, 29):
            await access(ctx, decoder.bus, write=True, address=0x4 + 4 * index, size=4, value=0x1000 + index)

    simulate(decoder, testbench, watch)
    assert seen == [(index, 0x1000 + index) for index in (0, 1, 28, 29)]


def test_a_window_smaller_than_the_file_is_named() -> None:
    with pytest.raises(ValueError, match="0x400 bytes"):
        RegisterDecoder(Tables, addr_width=9)
