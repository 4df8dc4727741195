"""Directed bare-metal programs that check themselves, on the core and on QEMU.

A `Checks` collects code and numbered checks; `run_everywhere` runs the program on QEMU, which proves the test, and on
the SoC, which is tested. A failed check ends the program with its number, and the error names the check.

Registers: x5..x7 and x28..x31 are scratch of the checks themselves; s8..s11 belong to traps:
  s8 mcause, s9 mepc, s10 mtval of the last trap; s11 where to go on after one.
"""

import itertools
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path

from tests.lockstep import encoding as e
from tests.lockstep import layout as at
from tests.lockstep.assembler import Assembler, Label, Piece, address, branch, jump
from tests.lockstep.reference import command

CAUSE, EPC, TVAL, RESUME = 24, 25, 26, 27
T0, T1, T2, T3, T4 = 5, 6, 7, 28, 29
MASK = (1 << 64) - 1
HANG_CYCLES = 3_000_000


class Checks:
    """A program under construction."""

    def __init__(self) -> None:
        self.asm = Assembler()
        self.names: list[str] = ["(an unexpected trap)"]
        self._unique = itertools.count()
        asm = self.asm
        asm.org(at.FIRMWARE)
        asm.emit(Label("_start"), *[e.immediate("addi", r, 0, 0) for r in range(1, 32)])
        asm.emit(*address(T0, "trap"), e.csr("csrrw", 0, at.MTVEC, T0))
        asm.emit(*address(RESUME, "unexpected"))
        asm.emit(*self.csr_write(at.PMPADDR0 + 15, (1 << 54) - 1), *self.csr_write(at.PMPCFG2, 0x1F << 56))
        asm.emit(*self.csr_write(at.MENVCFG, 1 << 63), *self.csr_write(at.MEDELEG, 0), *self.csr_write(at.MIDELEG, 0))
        asm.emit(*self.csr_write(at.MIE, 0), *self.csr_write(at.MCOUNTEREN, 7))
        asm.emit(*address(T0, "main"), e.jalr(0, T0, 0))
        while asm.pc % 4:
            asm.emit(e.C_NOP)
        asm.emit(
            Label("trap"),
            e.csr("csrrs", CAUSE, at.MCAUSE, 0),
            e.csr("csrrs", EPC, at.MEPC, 0),
            e.csr("csrrs", TVAL, at.MTVAL, 0),
            e.jalr(0, RESUME, 0),
            Label("unexpected"),
            e.immediate("addi", T0, 0, 0),
            Label("fail"),  # T0 holds the check's number
            e.shift("slli", T1, T0, 1),
            e.immediate("addi", T1, T1, 1),
            *e.li(T2, at.TOHOST),
            e.store("sw", T1, T2, 0),
            # a shorter code for QEMU, whose exit status has 8 bits: the number goes to the console
            *self._print_number(),
            *e.li(T2, at.FINISHER),
            *e.li(T1, 1 << 16 | 0x3333),
            e.store("sw", T1, T2, 0),
            Label("stay"),
            jump(0, "stay"),
        )
        asm.org(at.BODY)
        asm.emit(Label("main"))

    @staticmethod
    def _print_number() -> list[Piece]:
        """T0 as four hexadecimal digits to the UART."""
        out: list[Piece] = [*e.li(T2, 0x1000_0000)]
        for amount in (12, 8, 4, 0):
            out += [
                e.shift("srli", T1, T0, amount),
                e.immediate("andi", T1, T1, 15),
                e.immediate("addi", T1, T1, 65),
                e.store("sb", T1, T2, 0),
            ]
        return out

    # --- writing code -------------------------------------------------------------------------------------------------

    def label(self, what: str = "l") -> str:
        return f"{what}_{next(self._unique)}"

    def emit(self, *pieces: Piece | Iterable[Piece]) -> None:
        for piece in pieces:
            if isinstance(piece, (e.Instruction, Label)) or hasattr(piece, "make"):
                self.asm.emit(piece)  # type: ignore[arg-type]
            else:
                self.asm.emit(*piece)  # type: ignore[misc]

    @staticmethod
    def csr_write(csr: int, value: int, scratch: int = T0) -> list[Piece]:
        return [*e.li(scratch, value), e.csr("csrrw", 0, csr, scratch)]

    def check_equal(self, name: str, register: int, expected: int | None = None, other: int = T3) -> None:
        """Fails unless the register holds the number, or the same as `other`."""
        self.names.append(name)
        good = self.label("good")
        if expected is not None:
            self.emit(e.li(other, expected))
        self.emit(branch("beq", register, other, good), e.li(T0, len(self.names) - 1))
        self.emit(address(T1, "fail"), e.jalr(0, T1, 0), Label(good))

    def expect_trap(
        self, name: str, body: Iterable[Piece], cause: int, *, tval: int | None = None, epc: str | int | None = None
    ) -> None:
        """Runs `body`, which must trap to machine mode with this cause; afterwards the program is in machine mode.

        `epc` is the label or address of the trapping instruction; by default the body's last instruction.
        """
        after, here = self.label("after"), self.label("here")
        pieces = list(body)
        self.emit(address(RESUME, after), e.immediate("addi", CAUSE, 0, -1))
        if epc is None:
            self.emit(pieces[:-1], Label(here), pieces[-1])
        else:
            self.emit(pieces)
        self.emit(Label(after))
        self.check_equal(f"{name}: mcause", CAUSE, cause)
        if isinstance(epc, int):
            self.check_equal(f"{name}: mepc", EPC, epc)
        else:
            self.emit(address(T3, epc or here))
            self.check_equal(f"{name}: mepc", EPC)
        if tval is not None:
            self.check_equal(f"{name}: mtval", TVAL, tval)
        self.emit(address(RESUME, "unexpected"))

    def enter(self, mode: int, label: str, offset: int = 0) -> list[Piece]:
        """Goes to a label in another mode; `offset` is added to its address."""
        return [
            *e.li(T0, at.STATUS_MPP),
            e.csr("csrrc", 0, at.MSTATUS, T0),
            *e.li(T0, mode << 11),
            e.csr("csrrs", 0, at.MSTATUS, T0),
            *address(T0, label),
            *e.li(T1, offset),
            e.register("add", T0, T0, T1),
            e.csr("csrrw", 0, at.MEPC, T0),
            e.MRET,
        ]

    def finish(self, folder: Path) -> Path:
        """Ends the program and writes it."""
        asm = self.asm
        asm.emit(
            *self.csr_write(at.MSTATUS, 0),
            *e.li(T2, at.TOHOST),
            e.immediate("addi", T1, 0, 1),
            e.store("sw", T1, T2, 0),
        )
        asm.emit(*e.li(T2, at.FINISHER), *e.li(T1, 0x5555), e.store("sw", T1, T2, 0), e.jal(0, 0))
        asm.org(at.TOHOST)
        asm.emit(Label("tohost"))
        asm.data(bytes(64))
        asm.emit(Label("fromhost"))
        asm.data(bytes(64))
        asm.finish()
        elf = folder / "program.elf"
        asm.write_elf(elf, at.FIRMWARE, ("_start", "tohost", "fromhost"))
        asm.write_listing(folder / "program.lst")
        return elf


def run_on_qemu(checks: Checks, elf: Path) -> None:
    """The program must pass on QEMU, or the program is wrong."""
    line = command(elf)
    line[line.index("-serial") + 1] = "stdio"
    done = subprocess.run(line, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
    if done.returncode:
        number = int("".join(f"{ord(c) - 65:x}" for c in done.stdout[-4:]), 16)
        raise AssertionError(f"on QEMU, which proves this test: {checks.names[number]} (check {number}, {elf})")


def run_on_core(checks: Checks, elf: Path) -> None:
    """The program must pass on the SoC."""
    from sim.machine import Reason
    from tests.lockstep import device

    machine = device.machine()
    machine.load_elf(elf)
    outcome = machine.run(cycles=HANG_CYCLES)
    if outcome.reason is Reason.CYCLES:
        raise AssertionError(f"the program does not end: {machine.where()} ({elf})")
    if outcome.status:
        number = int.from_bytes(machine.memory.read(at.TOHOST, 4), "little") >> 1
        raise AssertionError(f"on the core: {checks.names[number]} (check {number}, {elf})")


def run_everywhere(
    checks: Checks, folder: Path, *, qemu: bool = True, core: Callable[[Checks, Path], None] = run_on_core
) -> None:
    """Runs the program on QEMU (unless it says what QEMU does otherwise) and on the core."""
    elf = checks.finish(folder)
    if qemu:
        run_on_qemu(checks, elf)
    core(checks, elf)
