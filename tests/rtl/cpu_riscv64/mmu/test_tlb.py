"""The TLB: what hits, what is replaced, what a flush leaves, and all of it at random against a model."""

import random
from collections import Counter
from dataclasses import dataclass, replace
from functools import cache

import pytest
from amaranth.hdl import Module, ResetInserter, Signal

from rtl.cpu_riscv64.config import CoreConfig
from rtl.cpu_riscv64.interfaces import Access, Privilege, Space
from rtl.cpu_riscv64.mmu.tlb import Tlb
from tests.rtl.cpu_riscv64.mmu.bench import SharedSimulator
from tests.rtl.cpu_riscv64.mmu.model import Context

USER, SUPERVISOR, MACHINE = Privilege.USER, Privilege.SUPERVISOR, Privilege.MACHINE
FETCH, LOAD, STORE = Access.FETCH, Access.LOAD, Access.STORE
SETS = 8


@dataclass(frozen=True)
class Entry:
    """A tlb_entry_layout value; all rights unless told."""

    vpn: int = 0
    space: Space = Space.TRANSLATED
    asid: int = 0
    is_global: int = 0
    superpage: int = 0
    ppn: int = 0
    user: int = 0
    read: int = 1
    write: int = 1
    execute: int = 1
    execute_readable: int = 1
    cacheable: int = 1
    mixed: int = 0
    valid: int = 1

    def serves(self, vpn: int, context: Context) -> bool:
        """The entry is about this page, whatever it allows."""
        if self.vpn != vpn or self.space != context.space:
            return False
        return self.space != Space.TRANSLATED or bool(self.is_global) or self.asid == context.asid

    def allows(self, context: Context, access: Access) -> bool:
        """Permissions of tlb_entry_layout."""
        if self.space == Space.TRANSLATED:
            if context.privilege == USER and not self.user:
                return False
            if context.privilege == SUPERVISOR and self.user and (not context.sum or access == FETCH):
                return False
        if access == LOAD:
            return bool(self.read or (context.mxr and self.execute_readable))
        return bool(self.write if access == STORE else self.execute)

    def doomed(self, flush: dict) -> bool:
        """SFENCE.VMA of `flush` drops it (Privileged 4.2.1; fragments of superpages for any address)."""
        if self.space != Space.TRANSLATED:
            return bool(flush["all_spaces"])
        if flush["by_asid"] and (self.is_global or self.asid != flush["asid"]):
            return False
        return bool(not flush["by_address"] or self.superpage or self.vpn == flush["va"] >> 12 & ((1 << 27) - 1))


@cache
def hardware(**options: int) -> tuple[Tlb, Signal, SharedSimulator]:
    """A small TLB with a reset."""
    dut, reset = Tlb(CoreConfig(tlb_sets=SETS, **options)), Signal()
    m = Module()
    m.submodules.dut = ResetInserter(reset)(dut)
    return dut, reset, SharedSimulator(m)


class Bench:
    """A TLB, driven a cycle at a time."""

    def __init__(self, **options: int):
        self.dut, self.reset_signal, self.simulator = hardware(**options)

    def run(self, testbench) -> None:
        async def start(ctx, bench: "Bench"):
            bench.ctx = ctx
            await bench.idle()
            await testbench(bench)

        self.simulator.run(start, self)

    async def idle(self) -> int:
        """Wait until it is not busy; the cycles."""
        cycles = 0
        while self.ctx.get(self.dut.busy):
            await self.ctx.tick()
            cycles += 1
            assert cycles < 3 * SETS, "busy for ever"
        return cycles

    async def read(self, va: int, context: Context, access: Access = LOAD) -> None:
        """First cycle of a lookup."""
        self.ctx.set(self.dut.context, context.as_dict())
        self.ctx.set(self.dut.access, access)
        self.ctx.set(self.dut.lookup_enable, 1)
        self.ctx.set(self.dut.lookup_va, va)
        await self.ctx.tick()
        self.ctx.set(self.dut.lookup_enable, 0)
        self.ctx.set(self.dut.lookup_va, ~va & ((1 << 64) - 1))
        self.ctx.set(self.dut.context, Context(MACHINE).as_dict())
        self.ctx.set(self.dut.access, STORE)

    def answer(self) -> tuple[int, int] | None:
        """Second cycle: (ppn, cacheable) of a hit."""
        ctx, dut = self.ctx, self.dut
        hits = [ctx.get(dut.way_hit[way]) for way in range(2)]
        assert sum(hits) < 2, "both ways hit"
        assert ctx.get(dut.hit) == sum(hits)
        if not ctx.get(dut.hit):
            return None
        way = hits.index(1)
        assert ctx.get(dut.ppn) == ctx.get(dut.way_ppn[way])
        assert ctx.get(dut.cacheable) == ctx.get(dut.way_cacheable[way])
        return ctx.get(dut.ppn), ctx.get(dut.cacheable)

    async def lookup(self, va: int, context: Context, access: Access = LOAD) -> tuple[int, int] | None:
        """A whole lookup."""
        await self.read(va, context, access)
        return self.answer()

    async def fill(self, entry: Entry) -> None:
        """Fill and wait."""
        self.ctx.set(self.dut.fill_entry, entry.__dict__)
        self.ctx.set(self.dut.fill_valid, 1)
        await self.ctx.tick()
        self.ctx.set(self.dut.fill_valid, 0)
        self.ctx.set(self.dut.fill_entry, {})
        await self.idle()

    async def flush(self, *, va: int | None = None, asid: int | None = None, all_spaces: int = 0) -> int:
        """Flush and wait; the cycles after the request."""
        await self.begin_flush(flush_request(va, asid, all_spaces))
        return await self.idle()

    async def begin_flush(self, request: dict) -> None:
        """Ask for a flush."""
        self.ctx.set(self.dut.flush, request)
        self.ctx.set(self.dut.flush_valid, 1)
        await self.ctx.tick()
        self.ctx.set(self.dut.flush_valid, 0)
        self.ctx.set(self.dut.flush, {})


def flush_request(va: int | None = None, asid: int | None = None, all_spaces: int = 0) -> dict:
    """A SfenceRequest."""
    return {
        "by_address": int(va is not None),
        "by_asid": int(asid is not None),
        "all_spaces": all_spaces,
        "va": va or 0,
        "asid": asid or 0,
    }


def page_address(vpn: int) -> int:
    """The canonical Sv39 address of a page."""
    return (vpn << 12 ^ 1 << 38) - (1 << 38) & ((1 << 64) - 1)


S = Context(SUPERVISOR)


def run(testbench, **options: int) -> None:
    """Run a test in a new bench."""
    Bench(**options).run(testbench)


def test_sets_must_be_two_or_more():
    with pytest.raises(ValueError, match="tlb_sets must be at least 2, not 1"):
        Tlb(CoreConfig(tlb_sets=1))


def test_fill_then_hit_with_ppn_and_cacheable():
    async def testbench(bench: Bench):
        await bench.fill(Entry(vpn=0x1234, ppn=0xABCDE, cacheable=1))
        await bench.fill(Entry(vpn=0x1235, ppn=0xFFFFFF, cacheable=0))
        assert await bench.lookup(0x1234567, S) == (0xABCDE, 1)
        assert await bench.lookup(0x1235567, S) == (0xFFFFFF, 0)

    run(testbench)


def test_answer_stays_while_lookups_are_disabled():
    async def testbench(bench: Bench):
        await bench.fill(Entry(vpn=1, ppn=11))
        await bench.fill(Entry(vpn=2, ppn=22))
        assert await bench.lookup(0x1000, S) == (11, 1)
        for _ in range(3):
            await bench.ctx.tick()
            assert bench.answer() == (11, 1)

    run(testbench)


@pytest.mark.parametrize("bit", range(27))
def test_every_bit_of_the_page_number_counts(bit: int):
    async def testbench(bench: Bench):
        await bench.fill(Entry(vpn=0x2AAAAAA))
        assert await bench.lookup(page_address(0x2AAAAAA), S)
        assert await bench.lookup(page_address(0x2AAAAAA ^ 1 << bit), S) is None

    run(testbench)


def test_every_bit_of_the_asid_counts_unless_global():
    async def testbench(bench: Bench):
        await bench.fill(Entry(vpn=1, asid=0x5555))
        await bench.fill(Entry(vpn=2, asid=0x5555, is_global=1))
        assert await bench.lookup(0x1000, Context(asid=0x5555))
        for bit in range(16):
            assert await bench.lookup(0x1000, Context(asid=0x5555 ^ 1 << bit)) is None
            assert await bench.lookup(0x2000, Context(asid=0x5555 ^ 1 << bit))

    run(testbench)


def test_unimplemented_asid_bits_do_not_count():
    async def testbench(bench: Bench):
        await bench.fill(Entry(vpn=1, asid=0x05))
        assert await bench.lookup(0x1000, Context(asid=0xF05))
        await bench.flush(asid=0xE05)
        assert await bench.lookup(0x1000, Context(asid=0x05)) is None

    run(testbench, asid_width=8)


def test_spaces_do_not_see_each_other():
    contexts = {
        Space.TRANSLATED: (Context(SUPERVISOR), Context(USER)),
        Space.BARE_SU: (Context(SUPERVISOR, sv39=0), Context(USER, sv39=0)),
        Space.BARE_M: (Context(MACHINE), Context(MACHINE, sv39=0)),
    }

    async def testbench(bench: Bench):
        for space in Space:
            await bench.fill(Entry(vpn=1 + space.value, space=space, is_global=1, user=1))
            for other, askers in contexts.items():
                for context in askers:
                    context = Context(**(context.as_dict() | {"sum": 1}))
                    hit = await bench.lookup((1 + space.value) << 12, context)
                    assert bool(hit) == (other == space), (space, context)

    run(testbench)


@pytest.mark.parametrize("user", [0, 1])
def test_bare_entries_ignore_user_and_asid(user: int):
    async def testbench(bench: Bench):
        await bench.fill(Entry(vpn=1, space=Space.BARE_SU, user=user, asid=1))
        await bench.fill(Entry(vpn=2, space=Space.BARE_M, user=user, asid=1))
        for access in Access:
            assert await bench.lookup(0x1000, Context(USER, sv39=0, asid=7), access)
            assert await bench.lookup(0x1000, Context(SUPERVISOR, sv39=0, asid=7), access)
            assert await bench.lookup(0x2000, Context(MACHINE, asid=7), access)

    run(testbench)


def test_permissions():
    async def testbench(bench: Bench):
        for bits in range(32):
            entry = Entry(
                vpn=1,
                user=bits & 1,
                read=bits >> 1 & 1,
                write=bits >> 2 & 1,
                execute=bits >> 3 & 1,
                execute_readable=bits >> 4,
            )
            await bench.fill(entry)
            for privilege in (USER, SUPERVISOR):
                for more in range(4):
                    context = Context(privilege, sum=more & 1, mxr=more >> 1)
                    for access in Access:
                        hit = await bench.lookup(0x1000, context, access)
                        assert bool(hit) == entry.allows(context, access), (entry, context, access)

    run(testbench)


@pytest.mark.parametrize("bit", range(38, 64))
def test_noncanonical_address_misses(bit: int):
    async def testbench(bench: Bench):
        for vpn in (1, (1 << 27) - 6):
            va = page_address(vpn)
            await bench.fill(Entry(vpn=vpn))
            await bench.fill(Entry(vpn=vpn ^ 1 << 26))  # so that bit 38 itself changes the page
            assert await bench.lookup(va, S)
            assert await bench.lookup(va ^ 1 << bit, S) is None

    run(testbench)


@pytest.mark.parametrize("bit", range(36, 64))
@pytest.mark.parametrize("context", [Context(MACHINE), Context(SUPERVISOR, sv39=0)])
def test_wide_bare_address_misses(bit: int, context: Context):
    async def testbench(bench: Bench):
        await bench.fill(Entry(vpn=1, space=context.space))
        assert await bench.lookup(0x1000, context)
        assert await bench.lookup(0x1000 | 1 << bit, context) is None

    run(testbench)


def test_mixed_and_invalid_entries_are_not_kept():
    async def testbench(bench: Bench):
        await bench.fill(Entry(vpn=1, mixed=1))
        assert await bench.lookup(0x1000, S) is None
        await bench.fill(Entry(vpn=1, valid=0))
        assert await bench.lookup(0x1000, S) is None

    run(testbench)


def test_same_page_is_replaced_in_place():
    async def testbench(bench: Bench):
        await bench.fill(Entry(vpn=1, ppn=1, write=0))
        await bench.fill(Entry(vpn=1 + SETS, ppn=2))
        assert await bench.lookup(0x1000, S, STORE) is None
        for round_ in range(8):
            await bench.fill(Entry(vpn=1, ppn=3 + round_))
            assert await bench.lookup(0x1000, S, STORE) == (3 + round_, 1)
            assert await bench.lookup((1 + SETS) << 12, S) == (2, 1)

    run(testbench)


def test_global_entry_replaces_all_that_it_covers():
    async def testbench(bench: Bench):
        for asid in (1, 2):
            await bench.fill(Entry(vpn=1, asid=asid, ppn=asid))
        await bench.fill(Entry(vpn=1, asid=3, is_global=1, ppn=3))
        for asid in range(5):
            assert await bench.lookup(0x1000, Context(asid=asid)) == (3, 1)  # `ask` sees that only one way hits
        await bench.fill(Entry(vpn=1, asid=4, ppn=4))
        assert await bench.lookup(0x1000, Context(asid=4)) == (4, 1)

    run(testbench)


def test_full_set_loses_one_way_and_not_always_the_same():
    async def testbench(bench: Bench):
        lost: Counter = Counter()
        for _ in range(40):
            await bench.flush()
            for number in range(3):
                await bench.fill(Entry(vpn=1 + SETS * number, ppn=number))
            present = [bool(await bench.lookup((1 + SETS * number) << 12, S)) for number in range(3)]
            assert sum(present) == 2 and present[2]
            lost[present.index(False)] += 1
        assert min(lost[0], lost[1]) > 8

    run(testbench)


def test_reset_empties_every_set():
    async def testbench(bench: Bench):
        for number in range(2 * SETS):
            await bench.fill(Entry(vpn=number, space=Space(number % 3), is_global=1))
        bench.ctx.set(bench.reset_signal, 1)
        await bench.ctx.tick()
        bench.ctx.set(bench.reset_signal, 0)
        assert bench.ctx.get(bench.dut.busy)
        assert await bench.idle() <= SETS + 2
        for number in range(2 * SETS):
            for context in (S, Context(SUPERVISOR, sv39=0), Context(MACHINE)):
                assert await bench.lookup(number << 12, context) is None

    run(testbench)


FLUSHES = [
    ({}, "asid 1, asid 2, global, superpage"),
    ({"va": 0x1000}, "asid 1, superpage"),
    ({"asid": 1}, "asid 1"),
    ({"asid": 2}, "asid 2, superpage"),
    ({"va": 0x1000, "asid": 1}, "asid 1"),
    ({"va": 0x1000, "asid": 2}, "superpage"),
    ({"va": 0x2000, "asid": 2}, "asid 2, superpage"),
    ({"va": 0x3000}, "global, superpage"),
    ({"va": 0x3000, "asid": 3}, ""),
    ({"va": 0x1000 + (SETS << 12)}, "superpage"),
    ({"all_spaces": 1}, "asid 1, asid 2, global, superpage, supervisor, machine"),
]


@pytest.mark.parametrize(("flush", "gone"), FLUSHES)
def test_flush_drops_what_it_names_and_nothing_else(flush: dict, gone: str):
    entries = {
        "asid 1": Entry(vpn=1, asid=1),
        "asid 2": Entry(vpn=2, asid=2),
        "global": Entry(vpn=3, asid=3, is_global=1),
        "superpage": Entry(vpn=4, asid=2, superpage=1),
        "supervisor": Entry(vpn=1, space=Space.BARE_SU),
        "machine": Entry(vpn=2, space=Space.BARE_M),
    }

    async def testbench(bench: Bench):
        for entry in entries.values():
            await bench.fill(entry)
        assert await bench.flush(**flush) <= SETS + 2
        for name, entry in entries.items():
            privilege = MACHINE if entry.space == Space.BARE_M else SUPERVISOR
            context = Context(privilege, sv39=int(entry.space == Space.TRANSLATED), asid=entry.asid)
            hit = await bench.lookup(entry.vpn << 12, context)
            assert bool(hit) == (name not in gone.split(", ")), name

    run(testbench)


@pytest.mark.parametrize("delay", range(4))
def test_flush_during_a_fill_is_not_lost_and_outlives_the_fill(delay: int):
    async def testbench(bench: Bench):
        ctx, dut = bench.ctx, bench.dut
        await bench.fill(Entry(vpn=5, ppn=5))
        ctx.set(dut.fill_entry, Entry(vpn=1).__dict__)
        ctx.set(dut.fill_valid, 1)
        for cycle in range(delay + 1):
            ctx.set(dut.flush_valid, cycle == delay)
            await ctx.tick()
            ctx.set(dut.fill_valid, 0)
        ctx.set(dut.flush_valid, 0)
        await bench.idle()
        assert await bench.lookup(0x1000, S) is None
        assert await bench.lookup(0x5000, S) is None

    run(testbench)


@pytest.mark.parametrize("delay", range(SETS + 3))
def test_flush_during_a_flush_does_both(delay: int):
    async def testbench(bench: Bench):
        for vpn in (1, 2):
            await bench.fill(Entry(vpn=vpn))
        await bench.begin_flush(flush_request(va=0x1000))
        for _ in range(delay):
            await bench.ctx.tick()
        await bench.begin_flush(flush_request(va=0x2000))
        await bench.idle()
        for vpn in (1, 2):
            assert await bench.lookup(vpn << 12, S) is None

    run(testbench)


def test_fill_during_a_flush_is_dropped():
    async def testbench(bench: Bench):
        await bench.begin_flush(flush_request())
        await bench.fill(Entry(vpn=1))
        assert await bench.lookup(0x1000, S) is None

    run(testbench)


@pytest.mark.parametrize("first", [{"all_spaces": 1}, {"va": 0x3000}])
def test_flush_during_a_flush_remembers_the_bare_entries(first: dict):
    async def testbench(bench: Bench):
        await bench.fill(Entry(vpn=5, space=Space.BARE_M))
        await bench.begin_flush(flush_request(**first))
        await bench.begin_flush(flush_request(va=0x2000))
        await bench.idle()
        assert bool(await bench.lookup(0x5000, Context(MACHINE))) == ("all_spaces" not in first)

    run(testbench)


def test_row_of_another_set_does_not_hit_after_a_fill():
    async def testbench(bench: Bench):
        await bench.fill(Entry(vpn=1, ppn=1))
        assert await bench.lookup(0x2000, S) is None
        await bench.fill(Entry(vpn=1 + SETS, ppn=9))
        # the ports show set 1 now; page 2 has the tag of page 1
        assert bench.answer() is None
        assert await bench.lookup(0x2000, S) is None
        assert await bench.lookup(0x1000, S) == (1, 1)

    run(testbench)


def test_row_of_another_set_does_not_hit_after_a_flush():
    async def testbench(bench: Bench):
        for vpn in range(SETS):
            await bench.fill(Entry(vpn=vpn, is_global=1))
        assert await bench.lookup(0x1000, S)
        await bench.flush(asid=1)
        assert bench.answer() is None
        assert await bench.lookup(0x1000, S)

    run(testbench)


def test_lookup_in_the_cycle_of_a_fill_or_flush_is_not_answered():
    async def testbench(bench: Bench):
        ctx, dut = bench.ctx, bench.dut
        await bench.fill(Entry(vpn=1))
        for trigger in (dut.fill_valid, dut.flush_valid):
            ctx.set(dut.fill_entry, Entry(vpn=2).__dict__)
            ctx.set(trigger, 1)
            await bench.read(0x1000, S)
            ctx.set(trigger, 0)
            assert bench.answer() is None
            await bench.idle()

    run(testbench)


def test_random_fills_flushes_and_lookups_equal_the_model():
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    pages = [rng.getrandbits(27) & ~(SETS - 1) | index for index in (1, 1, 1, 2, 2, 5, 7)]
    seen: Counter = Counter()

    def random_context() -> Context:
        privilege = rng.choice((USER, SUPERVISOR, SUPERVISOR, MACHINE))
        return Context(privilege, int(rng.random() < 0.8), rng.randrange(3), 0, rng.getrandbits(1), rng.getrandbits(1))

    def address(vpn: int, context: Context) -> int:
        low = rng.getrandbits(12)
        return (page_address(vpn) if context.space == Space.TRANSLATED else vpn << 12) | low

    async def testbench(bench: Bench):
        certain: set[Entry] = set()  # must answer
        possible: set[Entry] = set()  # may answer: a full set loses one entry, nobody says which

        async def lookup() -> None:
            context, vpn, access = random_context(), rng.choice(pages), rng.choice(tuple(Access))
            if (certain or possible) and rng.random() < 0.7:
                entry = rng.choice(sorted(certain | possible, key=repr))
                vpn = entry.vpn
                if entry.space == context.space:
                    context = replace(context, asid=rng.choice((context.asid, entry.asid)))
            va = address(vpn, context)
            if rng.random() < 0.05:
                va ^= 1 << rng.randrange(39, 64)
                assert await bench.lookup(va, context, access) is None
                return
            if context.space != Space.TRANSLATED and va >> 36:
                assert await bench.lookup(va, context, access) is None
                return
            got = await bench.lookup(va, context, access)
            serving = [entry for entry in certain | possible if entry.serves(vpn, context)]
            assert len(serving) <= 1
            if serving and serving[0] in certain:
                entry = serving[0]
                expected = (entry.ppn, entry.cacheable) if entry.allows(context, access) else None
                assert got == expected, (hex(va), context, access, entry)
                seen["hit" if got else "denied"] += 1
            elif serving and got:
                entry = serving[0]
                assert entry.allows(context, access) and got == (entry.ppn, entry.cacheable)
                possible.remove(entry)
                certain.add(entry)
                seen["survived"] += 1
            else:
                assert got is None, (hex(va), context, access)
                seen["miss"] += 1

        async def fill() -> None:
            context = random_context()
            space = context.space
            vpn = rng.choice(pages)
            if space != Space.TRANSLATED:
                vpn &= (1 << 24) - 1
            bits = [int(rng.random() < 0.7) for _ in range(6)]
            entry = Entry(
                vpn=vpn,
                space=space,
                asid=context.asid,
                is_global=int(space != Space.TRANSLATED or rng.random() < 0.3),
                superpage=int(space == Space.TRANSLATED and rng.random() < 0.3),
                ppn=rng.getrandbits(24),
                user=bits[0],
                read=bits[1],
                write=bits[2],
                execute=bits[3],
                execute_readable=bits[4],
                cacheable=bits[5],
            )
            await bench.fill(entry)
            for group in (certain, possible):
                for other in list(group):
                    same = other.vpn == vpn and other.space == space
                    if same and (other.is_global or entry.is_global or other.asid == entry.asid):
                        group.remove(other)
                        seen["replaced"] += 1
            in_set = [other for other in certain | possible if (other.vpn ^ vpn) % SETS == 0]
            if len(in_set) >= 2:
                for other in in_set:
                    certain.discard(other)
                    possible.add(other)
                seen["evicted"] += 1
            certain.add(entry)

        async def flush() -> None:
            request = flush_request(
                rng.choice((None, page_address(rng.choice(pages)))),
                rng.choice((None, rng.randrange(3))),
                int(rng.random() < 0.2),
            )
            if request["all_spaces"]:
                request |= {"by_address": 0, "by_asid": 0}
            await bench.begin_flush(request)
            if rng.random() < 0.5:
                bench.ctx.set(bench.dut.lookup_enable, 1)  # disturbs nothing
            await bench.idle()
            bench.ctx.set(bench.dut.lookup_enable, 0)
            for group in (certain, possible):
                for entry in list(group):
                    if entry.doomed(request):
                        group.remove(entry)
                        seen["flushed"] += 1

        for _ in range(2500):
            await rng.choice((lookup, lookup, lookup, lookup, fill, fill, flush if rng.random() < 0.3 else lookup))()

    run(testbench)
    print(seen)
    assert min(seen[name] for name in ("hit", "denied", "survived", "miss", "replaced", "evicted", "flushed")) > 10
