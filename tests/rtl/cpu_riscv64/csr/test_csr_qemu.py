"""The CSR file against QEMU's `virt`: which CSRs may be accessed in which mode, and what every write reads back as.

A bare-metal program is generated, assembled and run on QEMU; the same accesses go to the simulated CSR file. Where the
two may differ, `LEGALITY` and `VALUES` below say so and why: everything else must be equal.
"""

import random
import shutil
import struct
import subprocess
import sys
from dataclasses import dataclass

import pytest
from amaranth.sim import Simulator
from csr_model import CLEAR, EXISTING, MASK64, PMP, READ, SET, WRITE, M, S, U

from rtl.cpu_riscv64.config import CoreConfig
from rtl.cpu_riscv64.csr import CsrFile
from rtl.cpu_riscv64.interfaces import CsrOp

CPU = "rv64,f=off,d=off,h=off,v=off,zbc=off,pmu-num=8,debug=off,sstc=on,marchid=0,mimpid=0x100"

# Accesses that are legal on one side only: (addresses, legal here, reason).
LEGALITY = (
    (range(0x7A0, 0x7A5), 1, "no triggers: we say so with tselect = 0, QEMU (debug=off) with absence; both are usual"),
    (range(0xB0B, 0xB20), 1, "3.1.10: all 29 counters exist, those that do not count are 0; QEMU lacks them"),
    (range(0xC0B, 0xC20), 1, "likewise their user views, in M-mode; below it mcounteren has no bits for them"),
    ((0x24D,), 0, "QEMU 7.2 has vstimecmp even without H"),
)

# Bits that may read back differently: address -> (mask, reason).
VALUES = {
    0x300: (
        1 << 63 | 3 << 9 | 3 << 38 | 3 << 32,
        "QEMU 7.2 stores VS without V (and so SD), MPV and GVA without H, and lets UXL become 1; all absent here",
    ),
    0x100: (1 << 63 | 3 << 9 | 3 << 32, "as mstatus"),
    0x302: (
        1 << 11 | 0xF << 20 | 1 << 10,
        "QEMU delegates ecalls of M- and VS-mode and guest page faults; 3.1.8 forbids the first",
    ),
    0x303: (1 << 13 | 0x1444, "QEMU lets LCOFI and the hypervisor's interrupts be delegated without Sscofpmf and H"),
    0x304: (1 << 13 | 0x1444, "likewise mie"),
    0x344: (1 << 13 | 0x1444, "likewise mip"),
    0x306: (MASK64 & ~0x7FF, "bits of counters that do not exist are 0 here"),
    0x106: (MASK64 & ~0x7FF, "likewise scounteren"),
    0x320: (MASK64 & ~0x7FD, "likewise mcountinhibit; bit 1 is 0 (3.1.12)"),
    0x30A: (1 << 62 | 0xF0, "QEMU 7.2 stores PBMTE, CBIE, CBCFE and CBZE without Svpbmt, Zicbom and Zicboz"),
    0x10A: (0xF0, "likewise senvcfg"),
    0x341: (1, "3.1.14: mepc[0] is always 0; QEMU 7.2 stores it"),
    0x141: (1, "4.1.7: likewise sepc"),
    0x342: (~(1 << 63 | 63) & MASK64, "WLRL: cause codes have 6 bits here, 63 there"),
    0x142: (~(1 << 63 | 63) & MASK64, "likewise scause"),
    **dict.fromkeys(range(0x323, 0x340), (MASK64, "event numbers are the implementation's (3.1.10)")),
    **dict.fromkeys(
        (0xB00, *range(0xB02, 0xB0B)), (MASK64, "these count meanwhile; their values have tests of their own")
    ),
    **dict.fromkeys((0xC00, 0xC01, 0xC02), (MASK64, "likewise")),
    **dict.fromkeys(sorted(PMP), (MASK64, "these belong to the PMP component")),
}

# Two writes that differ are left out: MPP = 2 (WARL, 3.1.6.1) keeps the old MPP here, QEMU 7.2 stores it; satp.MODE = 9
# or 10, Sv48 and Sv57, cannot be switched off in QEMU 7.2.
PATTERNS = (
    0,
    MASK64,
    0x5555_5555_5555_5555 ^ 1 << 12,
    0xBAAA_AAAA_AAAA_AAAA & ~(1 << 12) & ~(1 << 11),
    8 << 60 | 0x1234_5678_9ABC & ~(3 << 11),
    12 << 60 | 0xFFFF,
    1 << 60 | 1,
    0x8000_0001,
    0x8000_0002,
    0x8000_0103,
)

# (name, mode, mcounteren, scounteren, menvcfg, mstatus bits)
SITUATIONS = (
    ("M", M, 0, 0, 0, 0),
    ("S, all closed", S, 0, MASK64, 0, 1 << 20),
    ("S, all open", S, MASK64, 0, 1 << 63, 0),
    ("S, time open but not stimecmp", S, 2, 0, 0, 0),
    ("S, stimecmp enabled but not time", S, 5, 0, 1 << 63, 0),
    ("U, all open", U, MASK64, MASK64, 1 << 63, 0),
    ("U, closed by S-mode", U, MASK64, 2, 0, 0),
    ("U, closed by M-mode", U, 1, MASK64, 0, 0),
)

RESULTS = 0x8040_0000
UART, FINISHER, MTIMECMP = 0x1000_0000, 0x10_0000, 0x200_4000
INSTRUCTION = {READ: "csrrs", WRITE: "csrrw", SET: "csrrs", CLEAR: "csrrc"}


@dataclass(frozen=True)
class Case:
    """Write `base` (if any), then do `op` with `operand`, then read; then put the old value back, unless `keep`."""

    address: int
    base: int | None
    op: int
    operand: int
    keep: bool = False


def cases_of(address, rng):
    if address >> 10 == 3:
        yield Case(address, None, READ, 0)
        return
    for pattern in PATTERNS:
        yield Case(address, 0, WRITE, pattern)
    for op in (SET, CLEAR):
        for _ in range(3):
            base, operand = (rng.getrandbits(64) & ~(3 << 11) for _ in range(2))
            if address == 0x180:  # no MODE 9, 10, and often a supported one
                base, operand = base & ~(3 << 60), operand & ~((3 if rng.random() < 0.3 else 7) << 60)
            if address in (0x105, 0x305):  # the handler's address must not be what is kept
                base &= ~2
            yield Case(address, base, op, operand)


def cases(rng):
    for address in sorted(EXISTING):
        yield from cases_of(address, rng)
    # the views of delegated interrupts, and of mip while stimecmp (never) drives STIP
    yield Case(0x14D, None, WRITE, MASK64, keep=True)
    for mideleg, menvcfg in ((0x222, 0), (0x020, 0), (0x202, 1 << 63), (0x222, 1 << 63), (0, 0)):
        yield Case(0x303, None, WRITE, mideleg, keep=True)
        yield Case(0x30A, None, WRITE, menvcfg, keep=True)
        for address in (0x104, 0x144, 0x304, 0x344):
            yield from cases_of(address, rng)


def program(tests):
    lines = [
        ".option norvc",
        ".globl _start",
        "_start:",
        f"li s0, {RESULTS:#x}",
        "la t0, handler",
        "csrw mtvec, t0",
        f"li t0, {MTIMECMP:#x}",
        "li t1, -1",
        "sd t1, 0(t0)",
        "li t0, -1",
        "csrw pmpaddr0, t0",
        "li t0, 0x1f",
        "csrw pmpcfg0, t0",
    ]
    for _, mode, mcounteren, scounteren, menvcfg, mstatus in SITUATIONS:
        for csr, value in (
            ("mcounteren", mcounteren),
            ("scounteren", scounteren),
            ("0x30a", menvcfg),
            ("mstatus", mode << 11 | mstatus),
        ):
            lines += [f"li t0, {value:#x}", f"csrw {csr}, t0"]
        lines += ["la t0, probe", "csrw mepc, t0", "la s11, 1f", "mret", ".balign 4", "1:"]
    for csr in ("mcounteren", "scounteren", "0x30a", "mstatus"):
        lines.append(f"csrw {csr}, zero")
    for case in tests:
        lines += ["li a2, 0", "li a3, 0", f"li a1, {case.operand:#x}"]
        if not case.keep:
            lines.append(f"csrr a4, {case.address:#x}")
        if case.base is not None:
            lines += [f"li a5, {case.base:#x}", f"csrw {case.address:#x}, a5"]
        if case.op != READ:
            lines.append(f"{INSTRUCTION[case.op]} zero, {case.address:#x}, a1")
        lines.append(f"csrr a3, {case.address:#x}")
        if case.op != READ and not case.keep:
            lines.append(f"csrw {case.address:#x}, a4")
        lines += ["sd a2, 0(s0)", "sd a3, 8(s0)", "addi s0, s0, 16"]
    lines += [
        f"li s1, {RESULTS:#x}",
        f"li s2, {UART:#x}",
        "1: lbu t0, 5(s2)",
        "andi t0, t0, 0x20",
        "beqz t0, 1b",
        "lbu t0, 0(s1)",
        "sb t0, 0(s2)",
        "addi s1, s1, 1",
        "bne s1, s0, 1b",
        f"li t0, {FINISHER:#x}",
        "li t1, 0x5555",
        "sw t1, 0(t0)",
        "2: j 2b",
        # an ecall ends a probe: go on at s11 in M-mode; anything else skips the instruction and is noted in a2
        ".balign 4",
        "handler:",
        "csrr t5, mcause",
        "addi t5, t5, -8",
        "li t6, 4",
        "bltu t5, t6, 3f",
        "li a2, 1",
        "csrr t5, mepc",
        "addi t5, t5, 4",
        "csrw mepc, t5",
        "mret",
        "3: jr s11",
        ".balign 4",
        "probe:",
    ]
    for address in range(4096):
        lines += ["li a2, 0", f"csrr a0, {address:#x}", "sb a2, 0(s0)", "addi s0, s0, 1"]
    lines.append("ecall")
    return "\n".join(lines) + "\n"


def run_on_qemu(source, directory):
    (directory / "csr.S").write_text(source)
    (directory / "csr.ld").write_text("ENTRY(_start) SECTIONS { . = 0x80000000; .text : { *(.text) } }")
    subprocess.run(
        [sys.executable, "-m", "ziglang", "cc", "-target", "riscv64-freestanding-none"]
        + ["-mcpu=generic_rv64+m+a+c+zicsr", "-mabi=lp64", "-nostdlib", "-Wl,-T," + str(directory / "csr.ld")]
        + ["-o", str(directory / "csr.elf"), str(directory / "csr.S")],
        check=True,
    )
    subprocess.run(
        ["qemu-system-riscv64", "-M", "virt", "-cpu", CPU, "-display", "none", "-monitor", "none"]
        + ["-serial", f"file:{directory / 'out'}", "-bios", str(directory / "csr.elf")],
        check=True,
        timeout=60,
        stderr=subprocess.PIPE,
    )
    return (directory / "out").read_bytes()


def parse(output):
    """What the program printed: legality maps, one a situation, and (illegal, value) a test."""
    maps = [output[n * 4096 : n * 4096 + 4096] for n in range(len(SITUATIONS))]
    return maps, list(struct.iter_unpack("<QQ", output[len(SITUATIONS) * 4096 :]))


def accesses_in_simulation(tests, candidates):
    """The same on the RTL, in the same form.

    Addresses that are not `candidates` are taken as illegal: another test looks at those.
    """
    dut = CsrFile(CoreConfig())
    maps, values = [], []

    async def testbench(ctx):
        async def csr(address, op, operand=0):
            """Reads or writes; (illegal, old value)."""
            ctx.set(dut.look, 0)
            ctx.set(dut.access, 0)
            ctx.set(dut.prepare, 1)
            ctx.set(dut.prepare_address, address)
            await ctx.tick().repeat(2)
            ctx.set(dut.look, 1)
            ctx.set(dut.address, address)
            ctx.set(dut.op, CsrOp(op))
            await ctx.tick()
            ctx.set(dut.access, 1)
            ctx.set(dut.operand, operand)
            ctx.set(dut.commit, op != READ)
            await ctx.delay(1e-8)
            result = ctx.get(dut.illegal), ctx.get(dut.read_data)
            if op != READ:
                await ctx.tick()
            ctx.set(dut.commit, 0)
            return result

        for _, mode, mcounteren, scounteren, menvcfg, mstatus in SITUATIONS:
            written = ((0x306, mcounteren), (0x106, scounteren), (0x30A, menvcfg), (0x300, mode << 11 | mstatus))
            for address, value in written:
                await csr(address, WRITE, value)
            ctx.set(dut.mret, 1)
            ctx.set(dut.access, 0)
            await ctx.tick()
            ctx.set(dut.mret, 0)
            maps.append([(await csr(a, READ))[0] if a in candidates else 1 for a in range(4096)])
            ctx.set(dut.access, 0)
            ctx.set(dut.trap, {"valid": 1, "interrupt": 0, "cause": 8, "epc": 0, "tval": 0})
            await ctx.tick()
            ctx.set(dut.trap.valid, 0)
        for address in (0x306, 0x106, 0x30A, 0x300):
            await csr(address, WRITE, 0)
        for case in tests:
            illegal, old = await csr(case.address, READ)
            if case.base is not None:
                await csr(case.address, WRITE, case.base)
            if case.op != READ:
                illegal |= (await csr(case.address, case.op, case.operand))[0]
            values.append((illegal, (await csr(case.address, READ))[1]))
            if case.op != READ and not case.keep:
                await csr(case.address, WRITE, old)

    sim = Simulator(dut)
    sim.add_clock(1e-6)
    sim.add_testbench(testbench)
    sim.run()
    return maps, values


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    if not shutil.which("qemu-system-riscv64"):
        pytest.skip("qemu-system-riscv64 is not installed (Debian package qemu-system-misc)")
    seed = random.getrandbits(32)
    print("seed", seed)
    tests = list(cases(random.Random(seed)))
    maps, values = parse(run_on_qemu(program(tests), tmp_path_factory.mktemp("csr")))
    assert len(values) == len(tests)
    candidates = {*EXISTING, *(a for there in maps for a in range(4096) if not there[a])}
    return tests, (maps, values), accesses_in_simulation(tests, candidates)


def test_every_address_is_legal_in_the_modes_in_which_qemu_allows_it(both):
    _, (theirs, _), (ours, _) = both
    excepted = {address: here for addresses, here, _ in LEGALITY for address in addresses}
    wrong, used = [], set()
    for (name, *_), their_map, our_map in zip(SITUATIONS, theirs, ours, strict=True):
        for address in range(4096):
            if their_map[address] != our_map[address]:
                if excepted.get(address) == their_map[address]:
                    used.add(address)
                else:
                    wrong.append(f"{name}: {address:#x} is {('legal', 'illegal')[our_map[address]]}, not so on QEMU")
    assert not wrong, "\n".join(wrong)
    assert used == excepted.keys(), "exceptions that are not needed"


def test_every_write_reads_back_as_on_qemu(both):
    tests, (_, theirs), (_, ours) = both
    excepted = {address for addresses, *_ in LEGALITY for address in addresses}
    wrong, used = [], set()
    for case, (their_trap, their), (our_trap, our) in zip(tests, theirs, ours, strict=True):
        mask, _ = VALUES.get(case.address, (0, ""))
        if case.address in excepted:
            continue
        if their ^ our:
            used.add(case.address)
        if (their ^ our) & ~mask & MASK64 or their_trap != our_trap:
            wrong.append(f"{case}: {our:#x} (trap {our_trap}), QEMU {their:#x} (trap {their_trap})")
    assert not wrong, "\n".join(wrong)
    assert {a for a, (mask, _) in VALUES.items() if mask != MASK64} <= used, "exceptions that are not needed"
