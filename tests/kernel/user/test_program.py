"""User programs: what is built is what the loader takes, on every architecture, from Kernel Python and from C."""

import io
import re

import pytest
from elftools.elf.elffile import ELFFile

from kernel import abi
from kernel.abi import Error
from kernel.lang import Array, Ptr, constant, fn, ptr, u8, u64, variable
from kernel.services import elf
from kernel.user import calls
from kernel.user.header import header
from kernel.user.message import Message
from kernel.user.program import ARCHITECTURES, C_STACK_BYTES, build_c_program, build_program

GREETING = constant(Array[u8, 5], list(b"hello"))
counter = variable(u64, 7)


@fn
def main(argument: u64) -> u64:
    global counter
    message = Message()
    for i in range(5):
        message.words[i] = u64(GREETING[i]) + counter
    counter += argument
    if calls.call(1, ptr(message)) != Error.NONE:
        return 1
    return message.words[0]


C_PROGRAM = """
#include "splax.h"
static uint64_t seen[300];
uint64_t splax_main(uint64_t argument) {
    struct splax_message message = {.number = SPLAX_SYSTEM_CALL_CALL, .handle = argument};
    message.words[0] = seen[argument % 300]++;
    return splax_invoke(&message) == SPLAX_ERROR_NONE ? message.words[0] : 1;
}
"""


def loaded(data: bytes, arch: str) -> elf.Program:
    made = elf.Program()
    error = elf.ElfError(elf.read(data, elf.MACHINES[arch], made))
    assert error == elf.ElfError.NONE, elf.ELF_ERROR_TEXT[error]
    return made


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_a_program_is_what_the_loader_takes(arch):
    data = build_program(main, arch)
    made = loaded(data, arch)
    rights = {(s.writable, s.executable) for s in list(made.segments)[: made.segment_count]}
    assert rights == {(False, True), (False, False), (True, False)}
    assert 256 < made.stack_bytes < 4096, "the compiler's figure"
    assert len(data) < len(build_program(main, arch, symbols=True))


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_a_c_program_is_too(arch):
    made = loaded(build_c_program(C_PROGRAM, arch), arch)
    assert made.stack_bytes == C_STACK_BYTES


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_a_system_call_loads_and_stores_all_thirteen_registers(arch):
    """From the machine code: every register of the table is loaded from its field, and stored to it behind the trap."""
    import capstone

    data = build_c_program(C_PROGRAM, arch)
    file = ELFFile(io.BytesIO(data))
    text = file.get_section_by_name(".text")
    modes = {
        "riscv64": (capstone.CS_ARCH_RISCV, capstone.CS_MODE_RISCV64 | capstone.CS_MODE_RISCVC),
        "x86_64": (capstone.CS_ARCH_X86, capstone.CS_MODE_64),
        "aarch64": (capstone.CS_ARCH_ARM64, capstone.CS_MODE_ARM),
    }
    lines = [f"{i.mnemonic} {i.op_str}" for i in capstone.Cs(*modes[arch]).disasm(text.data(), text["sh_addr"])]
    trap = {"riscv64": "ecall ", "x86_64": "syscall ", "aarch64": "svc #0"}[arch]
    first = lines.index(trap)
    before, behind = lines[max(0, first - 16) : first], lines[first + 1 : first + 17]
    for register in abi.REGISTERS[arch]:
        name = re.compile(rf"\b{register}\b")
        assert any(name.search(line) for line in before), f"{register} is not loaded: {before}"
        assert any(name.search(line) for line in behind), f"{register} is not stored: {behind}"


def test_an_unknown_architecture_is_named():
    with pytest.raises(ValueError, match="'mips'.*riscv64, x86_64, aarch64"):
        build_program(main, "mips")


def test_the_header_has_every_number_of_the_description():
    text = header()
    for call in abi.SystemCall:
        assert f"SPLAX_SYSTEM_CALL_{call.name} = {call.value}" in text
    for error in abi.Error:
        assert f"SPLAX_ERROR_{error.name} = {error.value}" in text
    assert "#define SPLAX_RIGHT_REVOKE 16u" in text


def test_on_the_host_calls_say_that_there_is_no_kernel():
    message = Message()
    assert calls.call(1, message) == Error.UNKNOWN_CALL


@fn
def words_and_options(slot: u64, rights: u8, move: bool, out: Ptr[Message]) -> None:
    out.words[0] = calls.accept_option(slot)
    out.words[1] = calls.grant_option(rights, move)


def test_options_are_where_the_description_puts_them():
    out = Message()
    words_and_options(5, abi.Rights.READ | abi.Rights.WRITE, True, out)
    assert out.words[0] == abi.Option(accept=6) and out.words[1] == abi.Option(rights=3, move=True)
    words_and_options(0, 0, False, out)
    assert out.words[0] == 0
