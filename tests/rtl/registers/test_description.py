"""The vocabulary of register descriptions, and the descriptions themselves."""

import enum
import sys

import pytest

from rtl.registers import Access, Field, Register, RegisterFile, clint, ns16550, plic
from rtl.registers.description import Array
from rtl.registers.reference import FILES, reference_page, register_file


class Color(enum.IntEnum):
    RED = 1
    BLUE = 3


def make(**registers: Register) -> type[RegisterFile]:
    class Example(RegisterFile, size=0x40, access_bytes=(4,)):
        vars().update(registers)

    # names are given as if the class had been written out
    for name, register in registers.items():
        register.__set_name__(Example, name)
    return Example


def test_values_pack_and_unpack_by_field_name() -> None:
    register = Register(
        0, 32, Access.RW, reset=0x100, fields={"low": Field(0, 4), "color": Field(4, 2, enum=Color), "flag": Field(8)}
    )
    assert register.pack() == 0x100
    assert register.pack(low=5, color=Color.BLUE, flag=0) == 0x35
    assert register.unpack(0x135) == {"low": 5, "color": Color.BLUE, "flag": 1}
    assert register.unpack(0x20)["color"] == 2, "a value without a name stays a number"
    with pytest.raises(ValueError, match="low is 4 bits"):
        register.pack(low=16)
    with pytest.raises(KeyError, match="no field 'hue'"):
        register.pack(hue=1)


def test_addresses_of_array_elements() -> None:
    assert plic.Registers.enable.address(1, 2) == 0x2088
    assert plic.Registers.claim.address(1) == 0x20_1004
    assert clint.Registers.mtimecmp.count == 4095
    assert list(plic.Registers.threshold.addresses()) == [0x20_0000, 0x20_1000]
    with pytest.raises(IndexError):
        plic.Registers.enable.address(2, 0)
    with pytest.raises(IndexError):
        plic.Registers.enable.address(0)


def test_what_a_write_changes_follows_from_the_fields() -> None:
    assert ns16550.Registers.mcr.writable_mask == 0x1F
    assert ns16550.Registers.lsr.writable_mask == 0
    assert ns16550.Registers.scr.writable_mask == 0xFF
    register = Register(0, 8, Access.RW, fields={"a": Field(0, access=Access.RO), "b": Field(1, access=Access.W1C)})
    assert register.writable_mask == 0


def test_registers_are_listed_with_their_names() -> None:
    registers = ns16550.Registers.registers()
    assert list(registers)[:3] == ["rbr", "thr", "dll"]
    assert all(register.name == name for name, register in registers.items())


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Field(-1), "lsb"),
        (lambda: Field(0, 1, enum=Color), "BLUE = 3"),
        (lambda: Register(0, 24, Access.RW), "24"),
        (lambda: Register(2, 32, Access.RW), "multiple of 4"),
        (lambda: Register(0, 8, Access.RW, reset=256), "0x100"),
        (lambda: Register(0, 8, Access.RW, fields={"a": Field(7, 2)}), "outside 8 bits"),
        (lambda: Register(0, 8, Access.RW, fields={"a": Field(0, 2), "b": Field(1)}), "'b' overlaps"),
        (lambda: make(a=Register(0x40, 32, Access.RW)), "a at 0x40 is outside"),
        (lambda: make(a=Register(0, 32, Access.RW), b=Register(2, 16, Access.RO)), "both read byte 0x2"),
        (lambda: make(a=Register(0, 8, Access.RW, bank=("lcr", "dlab", 1))), "lcr.dlab, which is not there"),
        (
            lambda: make(
                s=Register(4, 8, Access.RW, fields={"x": Field(0)}), a=Register(0, 8, Access.RW, bank=("s", "x", 2))
            ),
            "cannot be 2",
        ),
    ],
)
def test_mistakes_are_named_when_the_description_is_made(build: object, message: str) -> None:
    with pytest.raises((ValueError, RuntimeError)) as caught:
        build()  # type: ignore[operator]
    assert message in str(caught.value) or message in str(caught.value.__cause__)


def test_one_offset_may_hold_a_register_for_reads_one_for_writes_and_one_a_bank() -> None:
    make(
        data_in=Register(0, 8, Access.RO, bank=("select", "bank", 0)),
        data_out=Register(0, 8, Access.WO, bank=("select", "bank", 0)),
        divisor=Register(0, 8, Access.RW, bank=("select", "bank", 1)),
        select=Register(1, 8, Access.RW, fields={"bank": Field(0)}),
    )


@pytest.mark.parametrize("name", FILES)
def test_reference_page_names_every_register_field_and_value(name: str) -> None:
    file = register_file(name)
    page = reference_page(file, title=name, base=FILES[name])
    for register in file.registers().values():
        assert register.name in page
        for field_name, field in register.fields.items():
            assert field_name in page
            for member in field.enum or ():
                assert member.name in page
    assert "\t" not in page and all(line == line.rstrip() for line in page.splitlines())


def test_descriptions_need_no_gates() -> None:
    """A driver's compiler imports them without Amaranth."""
    import subprocess

    modules = ", ".join(f"rtl.registers.{name}" for name in FILES)
    code = f"import sys; sys.modules['amaranth'] = None; import {modules}, rtl.memory_map, rtl.registers.reference"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_array_describes_its_elements() -> None:
    register = Register(0x10, 32, Access.RW, array=(Array(2, 0x100), Array(3, 4)))
    assert list(register.addresses()) == [0x10, 0x14, 0x18, 0x110, 0x114, 0x118]
