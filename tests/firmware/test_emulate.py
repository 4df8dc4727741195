"""Instructions that the firmware does for a core: every load and store of an integer register, assembled by LLVM, run
host-native on a model of memory. The judge is the assembly text.
"""

import random

import pytest
from elftools.elf.elffile import ELFFile

from firmware import emulate
from firmware.emulate import DONE
from kernel.arch.riscv64.machine_mode import csr, entry, instructions
from kernel.lang import build

CODE, DATA = 0x8020_0000, 0x8030_0001
LOADS = {"lh": (2, True), "lhu": (2, False), "lw": (4, True), "lwu": (4, False), "ld": (8, True)}
STORES = {"sh": 2, "sw": 4, "sd": 8}
SEED = 20261125


def assembled(lines):
    """The machine code of each line."""
    text = "\n".join(f"l{n}: {line}" for n, line in enumerate([*lines, "nop"]))
    path = build.compile_assembly(f".option norelax\n{text}\n", "riscv64")
    with path.open("rb") as file:
        elf = ELFFile(file)
        code = elf.get_section_by_name(".text").data()
        symbols = elf.get_section_by_name(".symtab")
        at = [symbols.get_symbol_by_name(f"l{n}")[0]["st_value"] for n in range(len(lines) + 1)]
    return [code[begin:end] for begin, end in zip(at, at[1:], strict=False)]


@pytest.fixture
def memory():
    """Bytes of memory by address, as the firmware's lower_ accesses see them."""
    instructions.model.bytes.clear()
    yield instructions.model.bytes
    instructions.model.bytes.clear()


def run(memory, code, function=emulate.misaligned, cause=4, registers=None, mtval=DATA, mstatus=1 << 11):
    """Emulates one instruction; gives the answer and the frame."""
    memory.update({CODE + n: byte for n, byte in enumerate(code)})
    frame = entry.TrapFrame(mepc=CODE, mtval=mtval, mcause=cause, mstatus=mstatus)
    for number in range(32):
        frame.registers[number] = (registers or {}).get(number, 0x1111 * number)
    return function(frame), frame


def test_every_load_and_store_of_every_register(memory):
    generator = random.Random(SEED)
    print(f"seed {SEED}")
    cases = [(op, n, f"{op} x{n}, 0(x11)") for op in (*LOADS, *STORES) for n in range(32)]
    cases += [(op, n, f"c.{op} x{n}, 0(x9)") for op in ("lw", "ld", "sw", "sd") for n in range(8, 16)]
    cases += [(op, n, f"c.{op}sp x{n}, 8(sp)") for op in ("lw", "ld") for n in range(1, 32)]
    cases += [(op, n, f"c.{op}sp x{n}, 8(sp)") for op in ("sw", "sd") for n in range(32)]
    lengths = set()
    for (op, number, line), code in zip(cases, assembled([line for *_, line in cases]), strict=True):
        lengths.add(len(code))
        content = generator.randbytes(16)
        memory.update({DATA - 4 + n: byte for n, byte in enumerate(content)})
        value = generator.getrandbits(64)
        answer, frame = run(memory, code, registers={number: value})
        assert answer == DONE and frame.mepc == CODE + len(code), line
        after = bytes(memory[DATA - 4 + n] for n in range(16))
        wanted = dict(enumerate(frame.registers))
        if op in LOADS:
            size, signed = LOADS[op]
            wanted[number] = int.from_bytes(content[4 : 4 + size], "little", signed=signed) & (1 << 64) - 1
            assert after == content
        else:
            stored = (value if number else 0).to_bytes(8, "little")[: STORES[op]]
            assert after == content[:4] + stored + content[4 + STORES[op] :], line
            wanted[number] = value
        if number:
            assert dict(enumerate(frame.registers)) == wanted, line
        elif op in LOADS:
            assert frame.registers[0] == value  # the slot of x0 is not written
    assert lengths == {2, 4}


def test_what_is_no_load_or_store_is_left_alone(memory):
    lines = ["amoadd.d x5, x6, (x7)", "lr.w x5, (x7)", "addi x5, x6, 1", "c.addi x5, 1", "lb x5, 0(x6)", "sb x5, 0(x6)"]
    lines += ["c.li x5, 1", "c.lui x5, 1", "c.j .+8", "c.nop", "c.addi4spn x8, sp, 8", ".2byte 0x4002", ".2byte 0x2108"]
    lines += [".4byte 0x00007003", ".4byte 0x00004023", ".4byte 0x00002007", ".2byte 0x6002"]  # ld.., c.fld, c.ldsp x0
    for line, code in zip(lines, assembled(lines), strict=True):
        memory.update({DATA + n: n for n in range(8)})
        answer, frame = run(memory, code, cause=6)
        assert answer == 6 and frame.mepc == CODE, line


def test_a_fault_on_the_way_is_the_instruction_s_own(memory):
    load, store = assembled(["ld x5, 0(x6)", "sd x5, 0(x6)"])
    memory.update({DATA + n: n for n in range(7)})
    answer, frame = run(memory, load)
    assert answer == 5 and frame.mepc == CODE and frame.registers[5] == 5 * 0x1111
    assert run(memory, store, cause=6)[0] == 7
    instructions.model.bytes.clear()
    frame = entry.TrapFrame(mepc=CODE, mcause=4, mtval=DATA)
    assert emulate.misaligned(frame) == 1  # the instruction itself cannot be read


def test_counters_are_read_where_they_may_be(memory):
    csr.mcycle.value, csr.minstret.value, csr.scounteren.value = 1000, 2000, 0
    user, supervisor = 0, 1 << 11
    lines = ["csrr x5, cycle", "csrr x5, instret", "csrrc x5, cycle, x0", "csrrsi x5, instret, 0", "csrr x0, cycle"]
    cycle, instret, clear, immediate, nowhere = assembled(lines)
    for code, value in ((cycle, 1000), (instret, 2000), (clear, 1000), (immediate, 2000)):
        answer, frame = run(memory, code, emulate.illegal, cause=2, mstatus=supervisor)
        assert (answer, frame.registers[5], frame.mepc) == (DONE, value, CODE + 4)
    assert run(memory, nowhere, emulate.illegal, mstatus=supervisor)[0] == DONE
    assert run(memory, cycle, emulate.illegal, mstatus=user)[0] == 2
    csr.scounteren.value = 1
    assert run(memory, cycle, emulate.illegal, mstatus=user)[0] == DONE
    assert run(memory, instret, emulate.illegal, mstatus=user)[0] == 2


def test_other_illegal_instructions_stay_illegal(memory):
    lines = ["csrrw x5, cycle, x0", "csrrs x5, cycle, x1", "csrr x5, hpmcounter3", "csrr x5, mstatus", ".4byte 0"]
    lines += ["csrrsi x5, cycle, 1", "ecall", ".2byte 0", "csrr x5, 0xbff"]
    for line, code in zip(lines, assembled(lines), strict=True):
        answer, frame = run(memory, code, emulate.illegal, cause=2)
        assert answer == 2 and frame.mepc == CODE, line
