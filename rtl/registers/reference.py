"""Reference pages of registers, as text, from their descriptions.

`python -m rtl.registers.reference` prints all of them, `... reference plic` one.
"""

import importlib
import sys

from rtl import memory_map
from rtl.registers.description import Access, Field, Register, RegisterFile

FILES = {
    "sifive_test": memory_map.FINISHER.base,
    "goldfish_rtc": memory_map.RTC.base,
    "clint": memory_map.CLINT.base,
    "plic": memory_map.PLIC.base,
    "ns16550": memory_map.UART.base,
    "pci": memory_map.PCIE_ECAM.base,
}
"""Module in this package -> address of its first instance."""


def register_file(name: str) -> type[RegisterFile]:
    """The register file of a module of this package."""
    if name not in FILES:
        raise KeyError(f"no register file {name!r}; there are {', '.join(FILES)}")
    return importlib.import_module(f"rtl.registers.{name}").Registers


def _bits(field: Field) -> str:
    return f"{field.lsb}" if field.width == 1 else f"{field.lsb + field.width - 1}..{field.lsb}"


def _where(register: Register) -> str:
    text = f"{register.offset:#06x}"
    for n, dimension in enumerate(register.array):
        text += f" + {dimension.stride:#x} * {'ijk'[n]} ({'ijk'[n]} < {dimension.count})"
    return text


def _register_lines(register: Register) -> list[str]:
    notes = [f"{register.width} bits", register.access.value, f"reset {register.reset:#x}"]
    if register.bank is not None:
        selector, field, value = register.bank
        notes.append(f"while {selector}.{field} = {value}")
    lines = [f"{register.name:<22} {_where(register)}", f"    {register.doc} ({', '.join(notes)})"]
    for name, field in register.fields.items():
        access = field.access or register.access
        marks = "" if access is register.access else f" ({access.value})"
        lines.append(f"      {_bits(field):>6}  {name:<20} {field.doc}{marks}".rstrip())
        if field.enum is not None:
            lines += [f"                {member.value:#6x} {member.name}" for member in field.enum]
    return lines


def reference_page(file: type[RegisterFile], *, title: str, base: int | None = None) -> str:
    """One page: every register with its offset, fields and values."""
    head = title if base is None else f"{title} at {base:#x}"
    sizes = ", ".join(str(8 * size) for size in file.access_bytes)
    gaps = {"zero": "read as 0", "ones": "read as all ones", "error": "are refused"}[file.gaps]
    lines = [head, "=" * len(head), "", *(file.__doc__ or "").strip().splitlines(), ""]
    lines += [f"{file.size:#x} bytes; accesses of {sizes} bits; addresses without a register {gaps}.", ""]
    for register in file.registers().values():
        lines += [*_register_lines(register), ""]
    used = {register.access for register in file.registers().values()}
    used |= {
        field.access for register in file.registers().values() for field in register.fields.values() if field.access
    }
    meanings = {
        Access.RW: "rw: read and write",
        Access.RO: "ro: read only",
        Access.WO: "wo: write only",
        Access.W1C: "w1c: writing 1 clears",
        Access.RC: "rc: reading clears",
        Access.RESERVED: "reserved: keep 0",
    }
    lines.append("; ".join(text for access, text in meanings.items() if access in used))
    return "\n".join(lines) + "\n"


def main(names: list[str]) -> None:
    for name in names or FILES:
        print(reference_page(register_file(name), title=name, base=FILES[name]))


if __name__ == "__main__":
    main(sys.argv[1:])
