"""What the comparison makes of a store-conditional that the reference's page tables or PMP refuse.

Its first attempt on the device may come after an interrupt that took the reservation away. It then fails, with or
without the trap (Zalrsc: "for the purposes of memory protection, a failed SC.W may be treated like a store"); the
attempt that holds its reservation must trap.
"""

import subprocess
from pathlib import Path

import pytest

from sim.binding import Record
from tests.lockstep import compare
from tests.lockstep import encoding as e

START, HANDLER, EXCEPTION = 0x8000_0000, 0x8000_1000, 0x8000_2000
STORE_PAGE_FAULT, MACHINE_TIMER = 15, 1 << 63 | 7
RESULT, BASE, VALUE, SOURCE = 10, 11, 12, 13
ADDRESS = 0x5000
CODE = [
    e.immediate("addi", RESULT, 0, 1),
    e.lr(False, VALUE, BASE),
    e.sc(False, RESULT, BASE, SOURCE),
    e.branch("bne", RESULT, 0, -8),
]
LOAD, STORE, AGAIN = START + 4, START + 8, START + 12


def reference_log(path: Path) -> None:
    """QEMU's log of the code up to the store-conditional, its trap, and the handler's one instruction."""

    def state(pc: int, result: int, value: int) -> str:
        registers = [0] * 32
        registers[RESULT], registers[BASE], registers[VALUE] = result, ADDRESS, value
        rows = [" ".join(f"x{n}/r {registers[n]:016x}" for n in range(at, at + 4)) for at in range(0, 32, 4)]
        return f" pc       {pc:016x}\n" + "".join(f" {row}\n" for row in rows)

    trap = (
        f"riscv_cpu_do_interrupt: hart:0, async:0, cause:{STORE_PAGE_FAULT:016x}, epc:0x{STORE:016x}, "
        f"tval:0x{ADDRESS:016x}, desc=store_page_fault\n"
    )
    before = state(START, 0, 0) + state(LOAD, 1, 0) + state(STORE, 1, 7)
    path.write_text(before + trap + state(EXCEPTION, 1, 7) + state(EXCEPTION + 4, 1, 7))


def first() -> Record:
    return Record(pc=START, instruction=CODE[0].value, rd=RESULT, rd_value=1)


def load() -> Record:
    return Record(pc=LOAD, instruction=CODE[1].value, rd=VALUE, rd_value=7)


def fails() -> Record:
    return Record(pc=STORE, instruction=CODE[2].value, rd=RESULT, rd_value=1)


def succeeds() -> Record:
    return Record(pc=STORE, instruction=CODE[2].value, rd=RESULT)


def traps() -> Record:
    return Record(pc=STORE, instruction=CODE[2].value, trap=1, cause=STORE_PAGE_FAULT, tval=ADDRESS)


def again() -> Record:
    return Record(pc=AGAIN, instruction=CODE[3].value)


def handler() -> list[Record]:
    return [Record(pc=HANDLER, instruction=e.MRET.value, interrupt=1, cause=MACHINE_TIMER, mode=3)]


def exception() -> Record:
    return Record(pc=EXCEPTION, instruction=e.NOP.value, mode=3)


WITHOUT, AFTER = "difference: only the reference trapped", "equal: 4 instructions"
CASES = {
    "the same trap": ([first(), load(), traps(), exception()], AFTER),
    "the same trap after an interrupt": ([first(), load(), *handler(), traps(), exception()], AFTER),
    "fails after an interrupt, then traps": (
        [first(), load(), *handler(), fails(), again(), load(), traps(), exception()],
        AFTER,
    ),
    "fails after two interrupts, then traps": (
        [
            first(),
            load(),
            *handler(),
            fails(),
            again(),
            load(),
            *handler(),
            fails(),
            again(),
            load(),
            traps(),
            exception(),
        ],
        AFTER,
    ),
    "fails though nothing came between": ([first(), load(), fails(), again(), load(), traps(), exception()], WITHOUT),
    "succeeds": ([first(), load(), succeeds(), again(), exception()], WITHOUT),
    "fails after an interrupt, then succeeds": (
        [first(), load(), *handler(), fails(), again(), load(), succeeds(), again(), exception()],
        WITHOUT,
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_refused_store_conditional_may_fail_only_where_its_reservation_was_lost(case: str, tmp_path: Path) -> None:
    records, wanted = CASES[case]
    log, packed, listing = tmp_path / "log", tmp_path / "records", tmp_path / "program.lst"
    reference_log(log)
    packed.write_bytes(b"".join(map(bytes, records)))
    listing.write_text("".join(f"  {START + 4 * n:x}  {i.value:08x}  {i.text}\n" for n, i in enumerate(CODE)))
    done = subprocess.run(
        [str(compare.native()), "compare", str(log), str(packed), str(listing), hex(EXCEPTION)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.startswith(wanted), done.stdout + done.stderr
