"""Every producer before every consumer, at every distance that bypassing must bridge.

Each pair runs twice: close together, and with enough instructions between that the register file has the value. Both
must give the same. (That the value itself is right, lockstep with QEMU shows.)
"""

import pytest

from tests.isa.program import T3, T4, Checks
from tests.lockstep import encoding as e
from tests.lockstep import layout as at
from tests.lockstep.assembler import Label, Piece, address, branch

A, B, V, R, DATA, OUT = 10, 11, 12, 13, 14, 15  # V is what passes from producer to consumer
FAR = [e.NOP] * 12

# Each producer leaves a multiple of 16 below 2048 in V: so it can be data, an offset and a count alike.
PRODUCERS: dict[str, list[Piece]] = {
    "alu": [e.register("add", V, A, B)],
    "alu word": [e.register("addw", V, A, B)],
    "shift": [e.shift("slli", V, A, 1)],
    "bit manipulation": [e.register("sh1add", V, A, B)],
    "compressed": [e.c_mv(V, A)],
    "lui": [e.lui(V, 0), e.immediate("ori", V, V, 0x40)],
    "multiply": [e.register("mul", V, A, B)],
    "multiply high": [e.register("mulhu", V, A, B)],
    "divide": [e.register("divu", V, A, B)],
    "remainder": [e.register("remu", V, A, B)],
    "load": [e.load("ld", V, DATA, 0)],
    "load byte": [e.load("lbu", V, DATA, 0)],
    "load misaligned": [e.load("lhu", V, DATA, 63)],
    "store then load": [e.store("sw", A, DATA, 128), e.load("lwu", V, DATA, 128)],
    "store, load of a part": [e.store("sd", A, DATA, 128), e.load("lhu", V, DATA, 128)],
    "two stores, load across": [
        e.store("sb", A, DATA, 136), e.store("sb", 0, DATA, 137), e.load("lhu", V, DATA, 136),
    ],
    "csr": [e.csr("csrrw", 0, at.MTVAL, A), e.csr("csrrs", V, at.MTVAL, 0)],
    "csr swap": [e.csr("csrrw", V, at.MTVAL, A), e.csr("csrrw", V, at.MTVAL, V)],
    "amo": [e.amo("amoswap", True, V, DATA, A), e.store("sd", V, DATA, 0)],
    "lr": [e.lr(True, V, DATA)],
    "sc": [e.lr(True, V, DATA), e.sc(True, V, DATA, V)],
}  # fmt: skip


def consumers(checks: Checks) -> dict[str, list[Piece]]:
    """Each leaves what it saw of V in R."""
    over, over2, there, there2 = (checks.label("over") for _ in range(4))
    return {
        "alu rs1": [e.register("sub", R, V, A)],
        "alu rs2": [e.register("sub", R, A, V)],
        "both": [e.register("add", R, V, V)],
        "compressed": [e.c_add(R, V)],
        "shift amount": [e.register("sll", R, A, V)],
        "multiply": [e.register("mul", R, V, A)],
        "divide": [e.register("divu", R, A, V)],
        "divided": [e.register("remu", R, V, A)],
        "branch rs1": [branch("bltu", V, A, over), e.immediate("addi", R, R, 1), Label(over)],
        "branch rs2": [branch("bgeu", A, V, over2), e.immediate("addi", R, R, 1), Label(over2)],
        "address of a load": [e.register("add", OUT, DATA, V), e.load("ld", R, OUT, 0)],
        "base of a load": [e.register("add", V, DATA, V), e.load("ld", R, V, 8)],
        "data of a store": [e.store("sd", V, DATA, 256), e.load("ld", R, DATA, 256)],
        "data of a narrow store": [e.store("sh", V, DATA, 258), e.load("ld", R, DATA, 256)],
        "base of a store": [
            e.register("add", V, DATA, V), e.store("sd", A, V, 0), e.load("ld", R, V, 0), e.store("sd", A, V, 0),
        ],
        "csr": [e.csr("csrrw", 0, at.MTVAL, V), e.csr("csrrs", R, at.MTVAL, 0)],
        "csr set": [e.csr("csrrwi", 0, at.MTVAL, 5), e.csr("csrrs", 0, at.MTVAL, V), e.csr("csrrs", R, at.MTVAL, 0)],
        "amo data": [e.amo("amoadd", True, 0, DATA, V), e.load("ld", R, DATA, 0)],
        "sc data": [e.lr(True, OUT, DATA), e.sc(True, OUT, DATA, V), e.load("ld", R, DATA, 0)],
        "jump target": [
            *address(OUT, there), e.register("sub", OUT, OUT, V), e.register("add", OUT, OUT, V), e.jalr(R, OUT, 0),
            Label(there2), e.immediate("addi", A, A, 1), Label(there),
            e.register("xor", R, R, R), e.register("add", R, R, V),
        ],
    }  # fmt: skip


def setup() -> list[Piece]:
    """The same before each half; 64 = 0x40 is V's value in most cases."""
    return [
        *e.li(DATA, at.DATA),
        *e.li(A, 0x40),
        *e.li(B, 0x20),
        e.store("sd", A, DATA, 0),
        e.store("sb", A, DATA, 63),
        e.store("sb", 0, DATA, 64),
        e.store("sd", A, DATA, 256),
        e.immediate("addi", R, 0, 7),
        e.immediate("addi", V, 0, 0x7FF),
        *FAR,
    ]


@pytest.mark.parametrize("producer", PRODUCERS)
def test_a_result_reaches_every_consumer(producer: str, everywhere) -> None:
    checks = Checks()
    for consumer in consumers(checks):
        for distance in (0, 1, 2, 3):
            body = consumers(checks)[consumer]  # with labels of its own each time
            between = [e.register("xor", 30, 30, 31)] * distance
            checks.emit(setup(), PRODUCERS[producer], between, body, e.register("add", T4, R, 0))
            checks.emit(
                setup(), PRODUCERS[producer], FAR, consumers(checks)[consumer], FAR, e.register("add", T3, R, 0)
            )
            checks.check_equal(f"{producer} -> {consumer}, {distance} between", T4)
    everywhere(checks)


def test_a_younger_writer_wins(everywhere) -> None:
    """Two producers of one register in a row: the consumer gets the second, however slow the first is."""
    checks = Checks()
    for first in PRODUCERS:
        for second in PRODUCERS:
            checks.emit(setup(), PRODUCERS[first], PRODUCERS[second], e.register("add", T4, V, 0))
            checks.emit(setup(), PRODUCERS[first], FAR, PRODUCERS[second], FAR, e.register("add", T3, V, 0))
            checks.check_equal(f"{first}, then {second}", T4)
    everywhere(checks)


def test_x0_stays_zero(everywhere) -> None:
    """No unit's write of x0 is ever seen, not even by the bypass."""
    checks = Checks()
    writers = {
        "alu": e.register("add", 0, A, B), "multiply": e.register("mul", 0, A, B),
        "divide": e.register("divu", 0, A, B), "jal": e.jal(0, 4),
        "load": e.load("ld", 0, DATA, 0), "csr": e.csr("csrrs", 0, at.MTVEC, 0),
        "amo": e.amo("amoadd", True, 0, DATA, A),
        "lr": e.lr(True, 0, DATA), "sc": e.sc(True, 0, DATA, A),
    }  # fmt: skip
    for name, writer in writers.items():
        for distance in (0, 1, 2):
            checks.emit(setup(), writer, [e.NOP] * distance, e.register("add", T4, 0, 0))
            checks.check_equal(f"{name} to x0, {distance} between", T4, 0)
        if name == "divide":  # and the next division gives its own result
            checks.emit(setup(), writer, e.register("divu", V, B, A), e.register("add", T4, V, 0))
            checks.check_equal("divide to x0, divide", T4, 0)
    everywhere(checks)
