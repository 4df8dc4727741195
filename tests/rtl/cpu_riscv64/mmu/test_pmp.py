"""PMP: CSR semantics, and the checker against the specification's model."""

import random
from functools import cache

import pytest
from amaranth.hdl import Module, ResetInserter, Signal

from rtl.cpu_riscv64.config import CoreConfig
from rtl.cpu_riscv64.interfaces import Privilege
from rtl.cpu_riscv64.mmu.pmp import Pmp
from tests.rtl.cpu_riscv64.mmu.bench import SharedSimulator
from tests.rtl.cpu_riscv64.mmu.model import LOCK, NA4, NAPOT, OFF, PAGE, TOR, PmpModel, napot, pmp_config

S, M, U = Privilege.SUPERVISOR, Privilege.MACHINE, Privilege.USER
ANY = (1 << 64) - 1


@cache
def hardware(entries: int) -> tuple[Pmp, Signal, SharedSimulator]:
    """Pmp with a reset."""
    dut, reset = Pmp(CoreConfig(pmp_entries=entries)), Signal()
    m = Module()
    m.submodules.dut = ResetInserter(reset)(dut)
    m.d.sync += Signal(name="alive").eq(reset)  # PMP without entries has no registers
    return dut, reset, SharedSimulator(m)


class Bench:
    """Pmp with a reset, and the model beside it."""

    def __init__(self, entries: int = 16):
        self.dut, self.reset_signal, self.simulator = hardware(entries)
        self.model = PmpModel(entries)
        self.entries = entries

    def run(self, testbench) -> None:
        async def start(ctx, bench: "Bench"):
            bench.ctx = ctx
            await testbench(bench)

        self.simulator.run(start, self)

    async def reset(self) -> None:
        self.ctx.set(self.reset_signal, 1)
        await self.ctx.tick()
        self.ctx.set(self.reset_signal, 0)
        self.model = PmpModel(self.entries, address=self.model.address)  # pmpaddr outlive a reset

    async def access(self, csr: int, value: int | None = None) -> int:
        """Read a CSR, and write it where a value is given. Compares the read."""
        ctx, dut = self.ctx, self.dut
        ctx.set(dut.select, 1)
        ctx.set(dut.address, csr)
        ctx.set(dut.write, value is not None)
        ctx.set(dut.write_data, value or 0)
        got = ctx.get(dut.read_data)
        assert got == self.model.read(csr), f"CSR {csr:#x}: {got:#x}, expected {self.model.read(csr):#x}"
        if value is not None:
            self.model.write(csr, value)
        await ctx.tick()
        ctx.set(dut.select, 0)
        ctx.set(dut.write, 0)
        return got

    async def check(self, address: int, length: int, privilege: Privilege) -> tuple[str, bool, int]:
        """Ask, compare with the model; the answer and the cycles it took, but the two of the pipeline."""
        ctx, port = self.ctx, self.dut.check
        ctx.set(port.valid, 1)
        ctx.set(port.ppn, address >> 12)
        ctx.set(port.first, address % PAGE)
        ctx.set(port.last, (address + length - 1) % PAGE)
        ctx.set(port.privilege, privilege)
        cycles = 1
        while not ctx.get(port.done):
            await ctx.tick()
            cycles += 1
            assert cycles < 40, "no answer"
        allowed = "".join(
            flag for flag, bit in (("r", port.read), ("w", port.write), ("x", port.execute)) if ctx.get(bit)
        )
        partial = bool(ctx.get(port.partial))
        await ctx.tick()
        ctx.set(port.valid, 0)
        expected = self.model.check(address, length, privilege)
        assert (allowed, partial) == expected, (
            f"{address:#x}+{length} {privilege.name}: {(allowed, partial)}, expected {expected}; entries "
            + ", ".join(f"{c:#x}:{a:#x}" for c, a in zip(self.model.config, self.model.address, strict=True))
        )
        return allowed, partial, cycles - 2

    async def configure(self, *entries: tuple[int, int]) -> None:
        """Set entries (config, pmpaddr) from 0 on; the others stay OFF."""
        for number, (_, address) in enumerate(entries):
            await self.access(0x3B0 + number, address)
        for half in range(2):
            value = sum(config << 8 * byte for byte, (config, _) in enumerate(entries[8 * half : 8 * half + 8]))
            await self.access(0x3A0 + 2 * half, value)


def test_registers_read_back_with_reserved_bits_zero():
    async def testbench(bench: Bench):
        for csr in (0x3A0, 0x3A2, *range(0x3B0, 0x3C0)):
            await bench.access(csr, ANY if csr >= 0x3B0 else ANY & ~0x8080_8080_8080_8080)
            await bench.access(csr)
        assert await bench.access(0x3B7) == (1 << 54) - 1
        assert await bench.access(0x3A0) == 0x1F1F_1F1F_1F1F_1F1F
        await bench.reset()
        for csr in (0x3A0, 0x3A2):
            assert await bench.access(csr) == 0

    Bench().run(testbench)


def test_write_without_read_is_kept_and_allows_stores_only():
    async def testbench(bench: Bench):
        await bench.configure((pmp_config(NAPOT, "w"), napot(0, 1 << 30)))
        assert await bench.access(0x3A0) == pmp_config(NAPOT, "w")
        assert await bench.check(0x1000, PAGE, S) == ("w", False, 1)

    Bench().run(testbench)


def test_locked_entry_keeps_config_and_address_until_reset():
    async def testbench(bench: Bench):
        await bench.configure((pmp_config(NAPOT, "r"), 0x123), (pmp_config(NAPOT, "rx", lock=True), 0x456))
        await bench.access(0x3A0, pmp_config(NA4, "rwx") | pmp_config(NA4, "rwx") << 8)
        await bench.access(0x3B0, 0x77)
        await bench.access(0x3B1, 0x88)
        assert await bench.access(0x3A0) == pmp_config(NA4, "rwx") | pmp_config(NAPOT, "rx", lock=True) << 8
        assert await bench.access(0x3B0) == 0x77
        assert await bench.access(0x3B1) == 0x456
        await bench.reset()
        await bench.access(0x3B1, 0x88)
        assert await bench.access(0x3B1) == 0x88

    Bench().run(testbench)


@pytest.mark.parametrize("number", [1, 8, 15])
def test_locked_tor_entry_locks_the_address_below(number: int):
    async def testbench(bench: Bench):
        await bench.access(0x3B0 + number - 1, 0x111)
        await bench.access(0x3B0 + number, 0x222)
        await bench.access(0x3A0 + number // 8 * 2, pmp_config(TOR, "r", lock=True) << 8 * (number % 8))
        await bench.access(0x3B0 + number - 1, 0x999)
        assert await bench.access(0x3B0 + number - 1) == 0x111
        # its configuration is not locked, nor is any other address
        csr = 0x3A0 + (number - 1) // 8 * 2
        await bench.access(csr, pmp_config(NA4, "x") << 8 * ((number - 1) % 8))
        assert await bench.access(csr) >> 8 * ((number - 1) % 8) & 0xFF == pmp_config(NA4, "x")
        if number > 1:
            await bench.access(0x3B0 + number - 2, 0x999)
            assert await bench.access(0x3B0 + number - 2) == 0x999

    Bench().run(testbench)


def test_last_address_is_not_locked_by_entry_0():
    async def testbench(bench: Bench):
        await bench.access(0x3A0, pmp_config(TOR, "r", lock=True))
        await bench.access(0x3BF, 0x999)
        assert await bench.access(0x3BF) == 0x999

    Bench().run(testbench)


def test_without_entries_all_is_allowed_and_registers_read_zero():
    async def testbench(bench: Bench):
        for privilege in (U, S, M):
            assert (await bench.check(0x8000_0000, PAGE, privilege))[:2] == ("rwx", False)
        await bench.access(0x3B0, ANY)
        assert await bench.access(0x3B0) == 0

    Bench(0).run(testbench)


def test_unmatched_is_for_machine_mode_only():
    async def testbench(bench: Bench):
        assert await bench.check(0x8000_0000, PAGE, M) == ("rwx", False, 1)
        assert await bench.check(0x8000_0000, PAGE, S) == ("", False, 1)
        assert await bench.check(0x8000_0000, PAGE, U) == ("", False, 1)

    Bench().run(testbench)


def test_machine_mode_obeys_locked_entries_only():
    async def testbench(bench: Bench):
        region = napot(0x8000_0000, 0x1000), napot(0x8000_1000, 0x1000)
        await bench.configure((pmp_config(NAPOT, "r"), region[0]), (pmp_config(NAPOT, "x", lock=True), region[1]))
        assert (await bench.check(0x8000_0000, PAGE, M))[0] == "rwx"
        assert (await bench.check(0x8000_1000, PAGE, M))[0] == "x"
        assert (await bench.check(0x8000_0000, PAGE, S))[0] == "r"

    Bench().run(testbench)


def test_partial_match_fails_in_every_mode():
    async def testbench(bench: Bench):
        await bench.configure((pmp_config(NA4, "rwx"), 0x8000_0008 >> 2), (pmp_config(NAPOT, "rwx"), napot(0, 1 << 40)))
        for privilege in (U, S, M):
            assert (await bench.check(0x8000_0000, PAGE, privilege))[:2] == ("", True)
            assert (await bench.check(0x8000_0008, 8, privilege))[:2] == ("", True)
            assert (await bench.check(0x8000_0005, 8, privilege))[:2] == ("", True)  # the region is in the middle
            assert (await bench.check(0x8000_0008, 4, privilege))[:2] == ("rwx", False)
            assert (await bench.check(0x8000_000C, 8, privilege))[:2] == ("rwx", False)

    Bench().run(testbench)


def test_tor_begins_at_the_entry_below_even_if_that_is_off():
    async def testbench(bench: Bench):
        await bench.configure(
            (pmp_config(OFF), 0x8000_0000 >> 2), (pmp_config(TOR, "r"), 0x8000_2000 >> 2), (pmp_config(TOR, "x"), 0)
        )
        assert (await bench.check(0x7FFF_F000, PAGE, S))[0] == ""
        assert (await bench.check(0x8000_0000, PAGE, S))[0] == "r"
        assert (await bench.check(0x8000_1000, PAGE, S))[0] == "r"
        assert (await bench.check(0x8000_2000, PAGE, S))[0] == ""

    Bench().run(testbench)


def test_tor_of_entry_0_begins_at_zero():
    async def testbench(bench: Bench):
        await bench.configure((pmp_config(TOR, "r"), 0x1004 >> 2))
        assert (await bench.check(0, PAGE, S))[:2] == ("r", False)
        assert (await bench.check(0x1000, 4, S))[:2] == ("r", False)
        assert (await bench.check(0x1000, PAGE, S))[:2] == ("", True)

    Bench().run(testbench)


def test_tor_with_bottom_above_top_matches_nothing():
    async def testbench(bench: Bench):
        await bench.configure(
            (pmp_config(OFF), 0x1800 >> 2),
            (pmp_config(TOR, "x"), 0x1400 >> 2),
            (pmp_config(NAPOT, "r"), napot(0, 1 << 20)),
        )
        assert (await bench.check(0x1000, PAGE, S))[:2] == ("r", False)
        await bench.configure(
            (pmp_config(OFF), 0x1800 >> 2),
            (pmp_config(TOR, "x"), 0x1800 >> 2),
            (pmp_config(NAPOT, "r"), napot(0, 1 << 20)),
        )
        assert (await bench.check(0x1000, PAGE, S))[:2] == ("r", False)

    Bench().run(testbench)


def test_a_check_ends_at_the_first_match_or_the_last_entry_in_use():
    async def testbench(bench: Bench):
        entry = pmp_config(NAPOT, "r")
        await bench.configure(*((entry, napot(0x10_0000 * number, 0x10_0000)) for number in range(4)))
        cycles = [(await bench.check(0x10_0000 * number, PAGE, S))[2] for number in (0, 1, 2, 3, 4, 4, 5)]
        assert cycles == [1, 2, 3, 4, 16, 4, 4]
        # one more entry in use, with a gap
        await bench.access(0x3BA, napot(0xA0_0000, 0x10_0000))
        await bench.access(0x3A2, entry << 16)
        cycles = [(await bench.check(0x10_0000 * number, PAGE, S))[2] for number in (0xA, 4, 4, 0xA)]
        assert cycles == [11, 16, 11, 11]
        await bench.access(0x3A2, 0)
        cycles = [(await bench.check(0x10_0000 * number, PAGE, S))[2] for number in (3, 0xA, 0xA)]
        assert cycles == [4, 16, 4]
        await bench.access(0x3A0, 0)
        assert [(await bench.check(0, PAGE, S))[2] for _ in range(2)] == [16, 1]

    Bench().run(testbench)


@pytest.mark.parametrize("delay", range(20))
def test_a_write_during_a_check_restarts_it(delay: int):
    async def testbench(bench: Bench):
        ctx, port = bench.ctx, bench.dut.check
        # all entries are looked at, as after every write; meanwhile an early one comes into use
        await bench.access(0x3B1, napot(0x10_0000, 0x1000))
        ctx.set(port.valid, 1)
        ctx.set(port.ppn, 0x101)
        ctx.set(port.first, 0)
        ctx.set(port.last, 0xFFF)
        ctx.set(port.privilege, M)
        for _ in range(delay):
            if ctx.get(port.done):
                break
            await ctx.tick()
        await bench.access(0x3A0, pmp_config(NAPOT, "x") << 8)
        while not ctx.get(port.done):
            await ctx.tick()
        await ctx.tick()
        ctx.set(port.valid, 0)
        assert await bench.check(0x10_0000, PAGE, S) == ("x", False, 2)

    Bench().run(testbench)


def test_a_check_that_is_given_up_leaves_nothing_behind():
    async def testbench(bench: Bench):
        await bench.configure((pmp_config(TOR, "rwx"), 0x1000 >> 2), (pmp_config(TOR, "r"), 0x10_0000 >> 2))
        await bench.check(0x20_0000, PAGE, S)
        for cycles in range(1, 5):
            bench.ctx.set(bench.dut.check.valid, 1)
            bench.ctx.set(bench.dut.check.ppn, 0x200)
            for _ in range(cycles):
                await bench.ctx.tick()
            bench.ctx.set(bench.dut.check.valid, 0)
            await bench.ctx.tick()
            assert await bench.check(0, PAGE, S) == ("rwx", False, 1)

    Bench().run(testbench)


@pytest.mark.parametrize("entries", [8, 16])
def test_random_maps_and_ranges_equal_the_model(entries: int):
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    rng = random.Random(seed)

    def random_entry() -> tuple[int, int]:
        # a few pages, so that entries and questions meet
        base = rng.choice((0x8000_0000, 0x8000_1000, 0x8000_2000, 0)) + rng.choice((0, 0, rng.randrange(0, PAGE, 4)))
        matching = rng.choice((OFF, TOR, TOR, NA4, NAPOT, NAPOT))
        address = base >> 2
        if matching == NAPOT:
            ones = rng.choice((0, 0, 1, 1, 3, 3, 7, 8, 9, 10, 11, 30, rng.randrange(55)))
            address = (address | ((1 << ones) - 1)) & ~(1 << ones if ones < 54 and rng.random() < 0.8 else 0)
        if rng.random() < 0.05:
            address |= 1 << rng.randrange(34, 54)
        lock = LOCK if rng.random() < 0.15 else 0
        return matching << 3 | rng.randrange(8) | lock, address

    async def testbench(bench: Bench):
        partial = 0
        for _ in range(50):
            await bench.reset()
            await bench.configure(*(random_entry() for _ in range(rng.randrange(entries + 1))))
            for _ in range(rng.choice((0, 0, 3))):
                await bench.access(rng.choice((0x3A0, 0x3A2, 0x3A1, *range(0x3B0, 0x3C0))), rng.getrandbits(64))
            for _ in range(12):
                page = rng.choice((0x8000_0000, 0x8000_1000, 0x8000_2000, 0, 0x7FFF_F000, 0xF_FFFF_F000))
                length = rng.choice((PAGE, 1, 2, 4, 8, rng.randrange(1, 9)))
                offset = rng.choice((0, rng.randrange(PAGE - length + 1)))
                if rng.random() < 0.6:  # close to a region's edge
                    edge = rng.choice(bench.model.address[:entries]) << 2
                    page = edge & 0xF_FFFF_F000
                    offset = max(0, min(PAGE - length, edge % PAGE + rng.randrange(-8, 8)))
                partial += (await bench.check(page + offset, length, rng.choice((U, S, M))))[1]
        assert partial > 8

    Bench(entries).run(testbench)
