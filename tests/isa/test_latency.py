"""How many cycles an instruction waits for the operand that the one in front of it makes.

Each pair is measured by mcycle in a loop that has warmed up: once with the consumer reading what the producer wrote,
once reading another register. The difference is the wait.
"""

import pytest

from tests.isa.program import T0, T1, T2, Checks, run_on_core
from tests.lockstep import encoding as e
from tests.lockstep import layout as at
from tests.lockstep.assembler import Label, Piece, address, branch

V, OTHER, R, DATA, OUT, COUNT = 10, 11, 12, 13, 14, 15
PASSES = 4
MCYCLE = 0xB00

PRODUCERS: dict[str, list[Piece]] = {
    "add": [e.register("add", V, OTHER, 0)],
    "minimum": [e.register("min", V, OTHER, OTHER)],
    "load": [e.load("ld", V, DATA, 0)],
    "multiply": [e.register("mul", V, OTHER, 30)],  # x30 is 1
    "load, add": [e.load("ld", V, DATA, 0), e.register("add", V, V, 0)],
    "load, shift": [e.load("ld", V, DATA, 0), e.shift("slli", V, V, 0)],
}
CONSUMERS = ("add", "compare", "logic", "shift", "multiply", "load address", "store data", "branch", "jump", "csr")
NEEDED_IN_X = ("shift", "multiply", "load address")

# Waits: an operand that is read in M never costs; of those read in X, what a load, a minimum, a multiplication or a
# deferred addition makes comes a cycle late. (In "load, shift" the wait is in front of the shift.)
LATE = {"minimum": 1, "load": 1, "multiply": 1, "load, add": 1}


def consumer(name: str, register: int, there: str) -> list[Piece]:
    """Reads V or OTHER, which hold the address of the label `there`."""
    return {
        "add": [e.register("add", R, register, 0)],
        "compare": [e.register("sltu", R, 0, register)],
        "logic": [e.register("xor", R, register, 0)],
        "shift": [e.shift("srli", R, register, 1)],
        "multiply": [e.register("mul", R, register, 30)],
        "load address": [e.load("lw", R, register, 0)],
        "store data": [e.store("sd", register, DATA, 64)],
        "branch": [branch("beq", register, 0, there)],
        "jump": [e.jalr(0, register, 0)],
        "csr": [e.csr("csrrs", R, at.MTVAL, 0), e.csr("csrrw", 0, at.MTVAL, register)],
    }[name]


def cycles(checks: Checks, pieces: list[Piece], there: str, slot: int) -> None:
    """Stores what the last pass through the pieces took."""
    again = checks.label("again")
    checks.emit(address(OTHER, there), e.store("sd", OTHER, DATA, 0), e.li(COUNT, PASSES))
    while checks.asm.pc % 8:
        checks.emit(e.C_NOP)
    checks.emit(Label(again), [e.NOP] * 8, e.csr("csrrs", T0, MCYCLE, 0), [e.NOP] * 4)
    checks.emit(pieces, Label(there), [e.NOP] * 4, e.csr("csrrs", T1, MCYCLE, 0), e.register("sub", T2, T1, T0))
    checks.emit(e.immediate("addi", COUNT, COUNT, -1), branch("bne", COUNT, 0, again), e.store("sd", T2, OUT, 8 * slot))


@pytest.mark.parametrize("producer", PRODUCERS)
def test_an_operand_is_waited_for_only_where_it_is_needed(producer: str, tmp_path) -> None:
    checks = Checks()
    checks.emit(e.li(DATA, at.DATA), e.li(OUT, at.DATA + 1024), e.li(30, 1))
    for n, name in enumerate(CONSUMERS):
        for dependent in (False, True):
            there = checks.label("there")
            pieces = [*PRODUCERS[producer], *consumer(name, V if dependent else OTHER, there)]
            cycles(checks, pieces, there, 2 * n + dependent)
    elf = checks.finish(tmp_path)
    run_on_core(checks, elf)
    from tests.lockstep import device

    memory = device._fresh()[0].memory.read(at.DATA + 1024, 16 * len(CONSUMERS))
    took = [int.from_bytes(memory[8 * i : 8 * i + 8], "little") for i in range(2 * len(CONSUMERS))]
    waits = {name: took[2 * n + 1] - took[2 * n] for n, name in enumerate(CONSUMERS)}
    expected = {name: LATE.get(producer, 0) if name in NEEDED_IN_X else 0 for name in CONSUMERS}
    assert waits == expected, f"cycles {took}"
