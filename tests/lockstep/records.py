"""Instructions a device retired, as the comparison reads them: one fixed-size record each, from RVFI."""

import struct
from dataclasses import dataclass
from typing import ClassVar

TRAP, INTERRUPT = 1, 2


@dataclass(slots=True)
class Record:
    """One retired (or trapped) instruction.

    Fields are RVFI's; `flags` holds TRAP (this instruction trapped, with cause and tval) and INTERRUPT (this is the
    first instruction of an interrupt's handler, and `cause` has bit 63 set).
    """

    pc: int
    next_pc: int = 0
    rd_wdata: int = 0
    mem_addr: int = 0
    mem_rdata: int = 0
    mem_wdata: int = 0
    cause: int = 0
    tval: int = 0
    cycle: int = 0
    insn: int = 0
    rd: int = 0
    mode: int = 3
    flags: int = 0
    mem_rmask: int = 0
    mem_wmask: int = 0

    FORMAT: ClassVar[struct.Struct] = struct.Struct("<9QI5B7x")

    def pack(self) -> bytes:
        return self.FORMAT.pack(
            self.pc, self.next_pc, self.rd_wdata, self.mem_addr, self.mem_rdata, self.mem_wdata, self.cause, self.tval,
            self.cycle, self.insn, self.rd, self.mode, self.flags, self.mem_rmask, self.mem_wmask,
        )  # fmt: skip

    @classmethod
    def unpack(cls, packed: bytes) -> "Record":
        return cls(*cls.FORMAT.unpack(packed))
