"""One driver for a 16550 in memory and one on ports: below 64 KiB, x86's register accesses are IN and OUT."""

import capstone
from elftools.elf.elffile import ELFFile

from kernel.lang import Ptr, build, fn, u8
from kernel.lang.declare import Function
from rtl.registers import ns16550


@fn
def exchange(uart: Ptr[ns16550.Registers], byte: u8) -> u8:
    uart.thr.write(byte)
    return uart.rbr.read()


def instructions(function: Function, arch: str) -> list[str]:
    """What the function is compiled to."""
    made = build.build_object([function], arch)
    with made.path.open("rb") as file:
        elf = ELFFile(file)
        name = made.emitter.function_names[function]
        (code,) = [s.data() for s in elf.iter_sections() if s.name == f".text.{name}"]
    return [f"{i.mnemonic} {i.op_str}" for i in capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64).disasm(code, 0)]


def test_an_address_below_64_kib_is_a_port_and_any_other_is_memory():
    code = instructions(exchange, "x86_64")
    assert "out dx, al" in code and "in al, dx" in code
    assert [line for line in code if line.startswith("cmp") and "0xffff" in line or "0x10000" in line]
    assert [line for line in code if line.startswith("mov byte ptr [")], "the access to memory is there too"
