"""Instructions that a core leaves to its firmware: misaligned loads and stores, and counters that S-mode may read.

Everything is done with the privilege and translation of the code that trapped, byte by byte, and a fault on the way
becomes that code's own fault. Atomics are left alone: bytes would not be atomic. (RISC-V ISA 20191213, chapters 2, 5,
10 and 16.)
"""

from kernel.arch.riscv64.machine_mode import csr, instructions, memory
from kernel.arch.riscv64.machine_mode.csr import Cause, Mode, Status
from kernel.arch.riscv64.machine_mode.entry import TrapFrame
from kernel.lang import *

DONE = (1 << 64) - 1
"""Not a cause: the instruction was emulated."""

LOAD, STORE, SYSTEM = 0x03, 0x23, 0x73
CYCLE, TIME, INSTRET = 0xC00, 0xC01, 0xC02


@struct
class Access:
    """A load or store: how many bytes, into or from which register."""

    register: u32
    bytes: u32
    is_store: bool
    is_signed: bool


@fn
def fetch(frame: Ptr[TrapFrame], instruction: Ptr[u32]) -> u64:
    """Reads the instruction at mepc: 0, or the cause of the fault. 16-bit ones have ones at most in bits 1..0."""
    instruction.value = 0
    length: u64 = 2
    at: u64 = 0
    while bounded(at < length, 4):
        byte = u8(0)
        cause = instructions.lower_load_byte(frame.mepc + at, Status.MPRV | Status.MXR, ptr(byte))
        if cause != 0:
            return cause
        instruction.value |= u32(byte) << 8 * at
        if at == 0 and byte & 3 == 3:
            length = 4
        at += 1
    return 0


@fn
def decode(instruction: u32, access: Ptr[Access]) -> bool:
    """Takes a load or store of an integer register apart; false for anything else."""
    funct = instruction >> 12 & 7
    if instruction & 3 == 3:
        opcode = instruction & 0x7F
        if opcode != LOAD and opcode != STORE:
            return False
        access.is_store = opcode == STORE
        if funct & 3 == 0 or funct == 7 or (access.is_store and funct > 3):
            return False
        access.bytes = u32(1) << (funct & 3)
        access.is_signed = funct & 4 == 0
        access.register = instruction >> 20 & 31 if access.is_store else instruction >> 7 & 31
        return True
    funct = instruction >> 13 & 7
    if funct & 3 != 2 and funct & 3 != 3:
        return False
    access.is_store = funct & 4 != 0
    access.bytes = 4 if funct & 3 == 2 else 8
    access.is_signed = True
    if instruction & 3 == 0:  # c.lw, c.ld, c.sw, c.sd
        access.register = 8 + (instruction >> 2 & 7)
        return True
    if instruction & 3 == 2:  # c.lwsp, c.ldsp, c.swsp, c.sdsp
        access.register = instruction >> 2 & 31 if access.is_store else instruction >> 7 & 31
        return access.is_store or access.register != 0
    return False


@fn
def register_of(frame: Ptr[TrapFrame], number: u32) -> u64:
    return frame.registers[number] if number != 0 else 0


@fn
def set_register(frame: Ptr[TrapFrame], number: u32, value: u64) -> None:
    if number != 0:
        frame.registers[number] = value


@fn
def advance(frame: Ptr[TrapFrame], instruction: u32) -> None:
    length: w64 = 4 if instruction & 3 == 3 else 2
    frame.mepc = u64(w64(frame.mepc) + length)


@fn
def extend(value: u64, bytes: u32, is_signed: bool) -> u64:
    """A loaded value as its register shows it."""
    if not is_signed or bytes == 8:
        return value
    sign = u64(1) << 8 * bytes - 1
    return u64((w64(value) ^ w64(sign)) - w64(sign))


@fn
def misaligned(frame: Ptr[TrapFrame]) -> u64:
    """Does the load or store at mepc in bytes: DONE, or the cause of the fault to report."""
    instruction = u32(0)
    cause = fetch(frame, ptr(instruction))
    if cause != 0:
        # A fetch that faults as a load is an instruction's fault.
        return Cause.INSTRUCTION_PAGE_FAULT if cause == Cause.LOAD_PAGE_FAULT else Cause.INSTRUCTION_ACCESS
    access = Access()
    if not decode(instruction, ptr(access)):
        return frame.mcause
    value = register_of(frame, access.register) if access.is_store else u64(0)
    for i in bounded(range(access.bytes), 8):
        address = u64(w64(frame.mtval) + w64(i))
        if access.is_store:
            cause = instructions.lower_store_byte(address, Status.MPRV, value >> 8 * i & 0xFF)
        else:
            byte = u8(0)
            cause = instructions.lower_load_byte(address, Status.MPRV, ptr(byte))
            value |= u64(byte) << 8 * i
        if cause != 0:
            return cause
    if not access.is_store:
        set_register(frame, access.register, extend(value, access.bytes, access.is_signed))
    advance(frame, instruction)
    return DONE


@fn
def illegal(frame: Ptr[TrapFrame]) -> u64:
    """Reads a counter that the core does not have: DONE, or the cause of the fault to report."""
    instruction = u32(0)
    cause = fetch(frame, ptr(instruction))
    if cause != 0:
        return Cause.INSTRUCTION_PAGE_FAULT if cause == Cause.LOAD_PAGE_FAULT else Cause.INSTRUCTION_ACCESS
    funct = instruction >> 12 & 7
    reads = (funct & 3 == 2 or funct & 3 == 3) and instruction >> 15 & 31 == 0  # csrrs, csrrc of nothing
    if instruction & 0x7F != SYSTEM or not reads:
        return Cause.ILLEGAL_INSTRUCTION
    number = instruction >> 20
    if number < CYCLE or number > INSTRET:
        return Cause.ILLEGAL_INSTRUCTION
    # U-mode's counters are S-mode's to allow (Privileged 4.1.5).
    if frame.mstatus & Status.MPP == u64(u8(Mode.USER)) and csr.scounteren.read() >> (number - CYCLE) & 1 == 0:
        return Cause.ILLEGAL_INSTRUCTION
    value = u64(0)
    if number == TIME:
        value = memory.timer().mtime.read()
    elif number == CYCLE:
        value = csr.mcycle.read()
    else:
        value = csr.minstret.read()
    set_register(frame, instruction >> 7 & 31, value)
    advance(frame, instruction)
    return DONE
