"""I/O ports: register accesses below 64 KiB are IN and OUT, and user code may only use the ports it was given."""

import ctypes

import capstone
import pytest
from elftools.elf.elffile import ELFFile

from kernel.arch.x86_64 import instructions, paging, ports
from kernel.arch.x86_64.descriptors import set_console_ports, tss
from kernel.arch.x86_64.layout import DIRECT_MAP
from kernel.lang import Ptr, build, fn, u8
from kernel.lang.declare import Function
from rtl.registers import ns16550


@fn
def exchange(uart: Ptr[ns16550.Registers], byte: u8) -> u8:
    uart.thr.write(byte)
    return uart.rbr.read()


def disassembly(function: Function, arch: str) -> list[str]:
    """What the function is compiled to."""
    made = build.build_object([function], arch)
    with made.path.open("rb") as file:
        elf = ELFFile(file)
        name = made.emitter.function_names[function]
        (code,) = [s.data() for s in elf.iter_sections() if s.name == f".text.{name}"]
    return [f"{i.mnemonic} {i.op_str}" for i in capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64).disasm(code, 0)]


def test_an_address_below_64_kib_is_a_port_and_any_other_is_memory():
    code = disassembly(exchange, "x86_64")
    assert "out dx, al" in code and "in al, dx" in code
    assert [line for line in code if line.startswith("cmp") and "0xffff" in line or "0x10000" in line]
    assert [line for line in code if line.startswith("mov byte ptr [")], "the access to memory is there too"


# Ports for user code


class PageTables(instructions.Machine):
    """Four tables in the host's memory, at addresses that serve as physical ones; CR3 points at the first."""

    def __init__(self):
        self.memory = ctypes.create_string_buffer(5 * 4096)
        self.first = (ctypes.addressof(self.memory) + 4095) & ~4095

    def read_cr3(self):
        return self.first

    def map(self, address, entry):
        """Makes `entry` the last of the four."""
        for level in range(4):
            table = self.first + level * 4096
            value = (table + 4096) | 7 if level < 3 else entry
            ctypes.c_uint64.from_address(table + (address >> (39 - 9 * level) & 511) * 8).value = value


@pytest.fixture
def tables(monkeypatch):
    model = PageTables()
    monkeypatch.setattr(instructions, "machine", model)
    paging.direct_offset.value = 0
    ports.is_open.value = False
    set_console_ports(False)
    yield model
    paging.direct_offset.value = DIRECT_MAP


def open_ports():
    """What the I/O permission bitmap allows, from its place in the TSS (SDM volume 1, 19.5.2)."""
    state = b"".join(int(word).to_bytes(4, "little") for word in tss.value)
    bitmap = state[104 : 104 + 128]
    return [port for port in range(1024) if not bitmap[port // 8] >> port % 8 & 1]


USER_PAGE_0 = 0x67  # present, writable, user, accessed, dirty; physical address 0


def test_ports_open_for_the_space_that_has_the_devices_page_and_close_with_it(tables):
    for word in range(26, 58):
        tss.value[word] = 0xFFFF_FFFF
    tables.map(ports.PORT_WINDOW, USER_PAGE_0)
    assert ports.allow() and open_ports() == list(range(0x3F8, 0x400))
    assert not ports.allow(), "open, and refused all the same: another port"
    ports.close()
    assert open_ports() == []


@pytest.mark.parametrize(
    "entry",
    [0, USER_PAGE_0 & ~1, USER_PAGE_0 & ~2, USER_PAGE_0 & ~4, USER_PAGE_0 | 0x1000],
    ids=["none", "not present", "read-only", "the kernel's", "another page"],
)
def test_ports_stay_closed_without_the_devices_page(tables, entry):
    tables.map(ports.PORT_WINDOW, entry)
    assert not ports.allow() and 0x3F8 not in open_ports()
