"""The CSR file against a model written from the specification: random instructions, traps, returns and interrupts."""

import random
from collections import Counter

import pytest
from amaranth.sim import Simulator
from csr_model import CLEAR, EXISTING, MASK64, MEI, MSI, MTI, PMP, READ, SEI, SET, WRITE, CsrModel, Cycle, M, S, U

from rtl.cpu_riscv64.config import CoreConfig
from rtl.cpu_riscv64.csr import CsrFile
from rtl.cpu_riscv64.interfaces import CsrOp, Privilege

EXCEPTIONS = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 15]
INTERRUPTS = [1, 3, 5, 7, 9, 11]
BUSY = (
    0x300,
    0x300,
    0x300,
    0x302,
    0x303,
    0x304,
    0x305,
    0x306,
    0x30A,
    0x344,
    0x100,
    0x104,
    0x105,
    0x144,
    0x14D,
    0x180,
    0x106,
)
EPCS = (0x141, 0x341)
REFETCH = (0x180, 0x300, 0x100, 0x303, 0x304, 0x104, 0x344, 0x144)
"""satp; what decides on interrupts, which are looked at again at once (Privileged 3.1.9)."""


def run(config, process, **files):
    dut = CsrFile(config)
    sim = Simulator(dut)
    sim.add_clock(1e-6)

    async def testbench(ctx):
        await process(ctx, Bench(ctx, dut, config))

    sim.add_testbench(testbench)
    sim.run()


class Bench:
    """Drives one cycle at a time into the component and the model and compares every output before the edge."""

    def __init__(self, ctx, dut, config):
        self.ctx, self.dut = ctx, dut
        self.model = CsrModel(hart_id=config.hart_id, asid_width=config.asid_width, hpm_counters=config.hpm_counters)
        self.number = 0
        self.prepared: int | None = None
        self.decoded: int | None = None

    async def cycle(
        self,
        now: Cycle,
        *,
        check_all: bool = True,
        upcoming: int | None = None,
        look: tuple[int, int, int, bool] | None = None,
    ) -> int:
        """Runs one cycle; returns the value read.

        A CSR instruction must be announced three cycles before: by `upcoming`, else quiet cycles go first; in the last
        one its CSR is looked at.
        """
        ctx, dut, model = self.ctx, self.dut, self.model
        while now.csr and now.csr[0] != self.decoded:
            wanted = now.csr[0] if now.csr[0] != self.prepared else None
            await self.cycle(Cycle(lines=now.lines, time=now.time), check_all=False, upcoming=wanted)
        if now.csr:
            await self.cycle(Cycle(lines=now.lines, time=now.time), check_all=False, look=now.csr)
        ctx.set(dut.prepare, upcoming is not None)
        ctx.set(dut.prepare_address, random.getrandbits(12) if upcoming is None else upcoming)
        self.decoded = self.prepared
        if upcoming is not None:
            self.prepared = upcoming
        address, op, operand, commit = now.csr or look or (random.getrandbits(12), READ, random.getrandbits(64), False)
        ctx.set(dut.look, (now.csr or look) is not None)
        ctx.set(dut.access, now.csr is not None)
        ctx.set(dut.address, address)
        ctx.set(dut.op, CsrOp(op))
        ctx.set(dut.operand, operand)
        ctx.set(dut.commit, commit and look is None)
        interrupt, cause, epc, tval = now.trap or (0, 0, 0, 0)
        ctx.set(
            dut.trap, {"valid": now.trap is not None, "interrupt": interrupt, "cause": cause, "epc": epc, "tval": tval}
        )
        ctx.set(dut.mret, now.mret)
        ctx.set(dut.sret, now.sret)
        ctx.set(dut.return_supervisor, now.sret)
        ctx.set(dut.software_interrupt, now.lines[MSI])
        ctx.set(dut.timer_interrupt, now.lines[MTI])
        ctx.set(dut.external_interrupt_s, now.lines[SEI])
        ctx.set(dut.external_interrupt_m, now.lines[MEI])
        ctx.set(dut.time, now.time)
        ctx.set(dut.retire, now.retire)
        ctx.set(dut.events.as_value(), now.events)
        ctx.set(dut.pmp_read_data, model.pmp.get(address, 0))
        await ctx.delay(1e-8)

        def same(what, seen, wanted):
            assert seen == wanted, (
                f"cycle {self.number}, {what}: {seen:#x}, should be {wanted:#x}; {now} mode {model.privilege}"
            )

        got = ctx.get(dut.read_data)
        writes = model.writes(now)
        if now.csr:
            illegal = model.illegal(address, op)
            same("illegal", ctx.get(dut.illegal), illegal)
            if not illegal:
                same(f"read of {address:#x}", got, model.read(address, now))
                refetch = op != READ and (address in PMP or address in REFETCH or 0xB00 <= address < 0xB20)
                same("flush", ctx.get(dut.flush), refetch)
                same("pmp_select", ctx.get(dut.pmp_select), address in PMP)
        else:
            same("illegal", ctx.get(dut.illegal), 0)
            same("flush", ctx.get(dut.flush), 0)
            same("pmp_select", ctx.get(dut.pmp_select), look is not None and address in PMP)
        same("pmp_write", ctx.get(dut.pmp_write), writes and address in PMP)
        same("pmp_written", ctx.get(dut.pmp_written), writes and address in PMP)
        if writes and address in PMP:
            same("pmp_address", ctx.get(dut.pmp_address), address)
            old = model.pmp[address]
            value = {WRITE: operand, SET: old | operand, CLEAR: old & ~operand}[op]
            same("pmp_write_data", ctx.get(dut.pmp_write_data), value)
        if now.trap:
            same("trap_vector", ctx.get(dut.trap_vector), model.trap_vector(interrupt, cause))
        if now.mret or now.sret:
            same("return_pc", ctx.get(dut.return_pc), model.regs[EPCS[now.mret]])
        if check_all:
            self.compare_state(now, same)
        await ctx.tick()
        model.cycle(now)
        self.number += 1
        return got

    def compare_state(self, now, same):
        ctx, dut, model = self.ctx, self.dut, self.model
        same("privilege", ctx.get(dut.privilege).value, model.privilege)
        for name, privilege in (("fetch_context", model.privilege), ("data_context", model.data_privilege())):
            context = ctx.get(getattr(dut, name))
            same(f"{name}.privilege", context.privilege.value, privilege)
            same(f"{name}.sv39", context.sv39, model.satp >> 63)
            same(f"{name}.asid", context.asid, model.satp >> 44 & 0xFFFF)
            same(f"{name}.root", context.root, model.satp & (1 << 44) - 1)
            same(f"{name}.sum", context.sum, model.status(18))
            same(f"{name}.mxr", context.mxr, model.status(19))
        supervisor = model.privilege == S
        user = model.privilege == U
        same("mret_illegal", ctx.get(dut.mret_illegal), model.privilege != M)
        same("sret_illegal", ctx.get(dut.sret_illegal), user or (supervisor and model.status(22)))
        same("wfi_illegal", ctx.get(dut.wfi_illegal), user or (supervisor and model.status(21)))
        same("sfence_illegal", ctx.get(dut.sfence_illegal), user or (supervisor and model.status(20)))
        wanted = model.interrupt(now.lines)
        same("interrupt_pending", ctx.get(dut.interrupt_pending), wanted is not None)
        if wanted is not None:
            same("interrupt_cause", ctx.get(dut.interrupt_cause), wanted)
        same("wfi_wake", ctx.get(dut.wfi_wake), model.mip(now.lines) & model.regs[0x304] != 0)

    async def csr(self, address, op=READ, operand=0):
        """One CSR instruction; returns the old value, or None where it is illegal."""
        illegal = self.model.illegal(address, op)
        got = await self.cycle(Cycle(csr=(address, op, operand, not illegal)))
        return None if illegal else got


def random_operand(rng):
    kind = rng.randrange(5)
    if kind == 0:
        return rng.getrandbits(64)
    if kind == 1:
        return 1 << rng.randrange(64)
    if kind == 2:
        return MASK64 ^ 1 << rng.randrange(64)
    if kind == 3:
        return rng.getrandbits(13)
    return rng.choice((0, MASK64, 0x8, 0xA, 8 << 60 | rng.getrandbits(60), 0xAAA, 0x222))


def random_address(rng, model):
    """Mostly CSRs that the mode may access and that matter, some that it may not access, some that do not exist."""
    allowed = [a for a in sorted(EXISTING) if (a >> 8 & 3) <= model.privilege]
    busy = [a for a in BUSY if (a >> 8 & 3) <= model.privilege]
    where = rng.random()
    if where < 0.5 and busy:
        return rng.choice(busy)
    if where < 0.85:
        return rng.choice(allowed)
    return rng.choice(sorted(EXISTING)) if where < 0.93 else rng.getrandbits(12)


def random_cycle(rng, model, time, address):
    """`address` is that of the instruction that enters M, if any."""
    now = Cycle(time=time, retire=rng.randrange(2), events=rng.getrandbits(12))
    for line in now.lines:
        now.lines[line] = rng.random() < 0.3
    kind = rng.random()
    if address is not None and kind < 0.9:
        # a commit of an illegal access must not happen, and must do nothing if it does
        op = rng.choice((READ, WRITE, WRITE, SET, CLEAR))
        now.csr = (address, op, random_operand(rng), rng.random() < 0.8)
    elif kind < 0.2:
        interrupt = rng.randrange(2)
        now.trap = (
            interrupt,
            rng.choice(INTERRUPTS if interrupt else EXCEPTIONS),
            rng.getrandbits(64),
            rng.getrandbits(64),
        )
    elif kind < 0.35 and model.privilege == M:
        now.mret = True
    elif kind < 0.5 and model.privilege != U:
        now.sret = True
    return now


@pytest.mark.parametrize(
    "config",
    [CoreConfig(), CoreConfig(hart_id=5, asid_width=9, hpm_counters=3), CoreConfig(hpm_counters=0, asid_width=0)],
    ids=["default", "small", "smallest"],
)
def test_random_instructions_traps_and_returns_match_the_model(config):
    seed = random.getrandbits(32)
    print("seed", seed)
    rng = random.Random(seed)

    async def process(ctx, bench):
        time, last_counter_write, upcoming = 0, -9, None
        modes, n = Counter(), 0
        wanted = [(mode, what) for mode in (M, S, U) for what in ("trap", "other", True, False)]
        while n < 2500 or not all(modes[each] for each in wanted):
            assert n < 20_000, modes  # of 600 seeds the slowest needed 3,088
            n += 1
            time = rng.getrandbits(64) if rng.random() < 0.02 else (time + rng.randrange(3)) & MASK64
            if rng.random() < 0.05:
                time = bench.model.regs[0x14D] + rng.randrange(-1, 2) & MASK64
            now = random_cycle(rng, bench.model, time, upcoming)
            if now.csr and 0xB00 <= now.csr[0] < 0xB20 and bench.model.writes(now):
                if n - last_counter_write < 3:  # the pipeline refetches after each
                    now.csr = None
                else:
                    last_counter_write = n
            modes[bench.model.privilege, "trap" if now.trap else "other"] += 1
            modes[bench.model.privilege, bench.model.interrupt(now.lines) is not None] += 1
            upcoming = random_address(rng, bench.model) if rng.random() < 0.7 else None
            await bench.cycle(now, upcoming=upcoming)

    run(config, process)


def test_every_csr_reads_back_its_legal_bits_after_all_ones_zeros_and_walking_bits():
    async def process(ctx, bench):
        for address in sorted(EXISTING):
            if address >> 10 == 3:
                continue
            for operand in (MASK64, 0, *(1 << n for n in range(0, 64, 7)), 8 << 60 | 0x1234):
                await bench.csr(address, WRITE, operand)
                await bench.csr(address)
                await bench.cycle(Cycle(), check_all=False)

    run(CoreConfig(), process)


def test_an_address_that_is_not_in_the_table_is_illegal_in_every_mode():
    async def process(ctx, bench):
        dut = bench.dut
        for mode in (M, S, U):
            if mode != M:
                await bench.csr(0x300, WRITE, mode << 11)
                await bench.cycle(Cycle(mret=True))
            ctx.set(dut.mret, 0)
            ctx.set(dut.look, 1)
            ctx.set(dut.access, 1)
            ctx.set(dut.prepare, 1)
            for address in range(4096):
                ctx.set(dut.prepare_address, address)
                ctx.set(dut.address, address)
                await ctx.tick().repeat(3)
                await ctx.delay(1e-9)
                assert ctx.get(dut.illegal) == bench.model.illegal(address, READ), hex(address)
        assert bench.model.privilege == U

    run(CoreConfig(), process)


def test_without_pmp_entries_there_are_no_pmp_csrs():
    async def process(ctx, bench):
        ctx.set(bench.dut.look, 1)
        ctx.set(bench.dut.access, 1)
        for address in sorted(PMP):
            ctx.set(bench.dut.prepare, 1)
            ctx.set(bench.dut.prepare_address, address)
            ctx.set(bench.dut.address, address)
            await ctx.tick().repeat(3)
            await ctx.delay(1e-8)
            assert ctx.get(bench.dut.illegal) == 1

    run(CoreConfig(pmp_entries=0), process)


def test_reset_state_is_machine_mode_with_interrupts_off():
    async def process(ctx, bench):
        assert ctx.get(bench.dut.privilege) == Privilege.MACHINE
        assert await bench.csr(0x300) == 0xA_0000_0000
        assert await bench.csr(0x301) == 0x8000_0000_0014_1105
        for address in (0x304, 0x180, 0x320, 0x306, 0x30A):
            assert await bench.csr(address) == 0

    run(CoreConfig(), process)
