"""The instruction trace: a line for every retired instruction, for people.

    cycle privilege pc                encoding  instruction                writes
    123   M         0000000080000000  00000297  auipc t0, 0x0              t0=0000000080000000

Writes are the register and the memory doubleword bytes, `[address]=value`; a trap says its cause.
"""

from typing import IO

from rtl.cpu_riscv64.interfaces import Cause

from .binding import Record
from .disassembler import REGISTERS, disassemble
from .machine import Machine

MODES = {0: "U", 1: "S", 3: "M"}
CAUSES = {cause.value: cause.name.lower().replace("_", " ") for cause in Cause}


class InstructionTrace:
    """Writes a machine's retired instructions to a file; call `drain` every slice."""

    def __init__(self, machine: Machine, file: IO[bytes]):
        self._machine, self._file = machine, file
        machine.record()

    def drain(self, *, ending: bool = False) -> None:
        """Takes what has retired since and writes it."""
        lines = [format_record(record) for record in self._machine.records(ending=ending)]
        if lines:
            self._file.write(("\n".join(lines) + "\n").encode())


def format_record(record: Record) -> str:
    """One line."""
    compressed = record.instruction & 3 != 3
    encoding = f"{record.instruction & 0xFFFF:04x}    " if compressed else f"{record.instruction:08x}"
    text = disassemble(record.instruction, record.pc)
    writes = []
    if record.trap:
        writes.append(f"trap: {CAUSES.get(record.cause & 63, record.cause)}, tval {record.tval:#x}")
    if record.interrupt:
        writes.append("first of a handler")
    if record.rd and not record.trap:
        writes.append(f"{REGISTERS[record.rd]}={record.rd_value:016x}")
    if record.write_mask and not record.trap:
        writes.append(_memory_write(record))
    mode = MODES.get(record.mode, "?")
    line = f"{record.cycle:>10} {mode} {record.pc:016x} {encoding} {text:<32}"
    return f"{line} {' '.join(writes)}".rstrip()


def _memory_write(record: Record) -> str:
    """RVFI gives the bytes from the access's address on, one mask bit each (RVFI_MEM aligned or not)."""
    count = record.write_mask.bit_count()
    lowest = (record.write_mask & -record.write_mask).bit_length() - 1
    value = record.write_data >> 8 * lowest & (1 << 8 * count) - 1
    return f"[{record.address + lowest:016x}]={value:0{2 * count}x}"
