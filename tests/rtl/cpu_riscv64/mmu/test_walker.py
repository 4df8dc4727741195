"""The walker with the real PMP behind it: every fault by itself, then everything at random against the model."""

import random
from collections import Counter
from functools import cache

import pytest
from amaranth.hdl import Module, ResetInserter, Signal
from amaranth.lib.wiring import connect

from rtl.cpu_riscv64.config import CoreConfig
from rtl.cpu_riscv64.interfaces import Access, Cause, Privilege, Space
from rtl.cpu_riscv64.mmu.pmp import Pmp
from rtl.cpu_riscv64.mmu.walker import Walker
from tests.rtl.cpu_riscv64.mmu.bench import SharedSimulator
from tests.rtl.cpu_riscv64.mmu.model import (
    NA4,
    NAPOT,
    OFF,
    PAGE,
    TOR,
    A,
    Context,
    D,
    Fault,
    G,
    Physical,
    PmpModel,
    R,
    U,
    V,
    W,
    X,
    napot,
    pmp_config,
    walk,
)

USER, SUPERVISOR, MACHINE = Privilege.USER, Privilege.SUPERVISOR, Privilege.MACHINE
FETCH, LOAD, STORE = Access.FETCH, Access.LOAD, Access.STORE
RAM_END = 0x8010_0000
ROOT, MIDDLE, LEAF, TARGET = 0x8000_1000, 0x8000_2000, 0x8000_3000, 0x8000_4000
OPEN = ((pmp_config(NAPOT, "rwx"), (1 << 54) - 1),)


def pte(address: int, flags: int) -> int:
    """A page-table entry that points to `address`."""
    return address >> 12 << 10 | flags


@cache
def hardware() -> tuple[Walker, Pmp, Signal, SharedSimulator]:
    """Walker and Pmp with a reset."""
    walker, pmp, reset = Walker(CoreConfig()), Pmp(CoreConfig()), Signal()
    m = Module()
    m.submodules.walker = ResetInserter(reset)(walker)
    m.submodules.pmp = ResetInserter(reset)(pmp)
    connect(m, walker.check, pmp.check)

    async def serve(ctx, bench: "Bench"):
        await bench.serve(ctx)

    return walker, pmp, reset, SharedSimulator(m, serve)


class Bench:
    """Walker and Pmp, memory with stalls, the model's state beside them."""

    def __init__(self, seed: int = 0, stall: int = 0):
        self.rng = random.Random(seed)
        self.stall = stall
        self.walker, self.pmp, self.reset_signal, self.simulator = hardware()
        self.memory = Physical()
        self.pmp_model = PmpModel()
        self.reads: list[int] = []
        self.cycles = 0

    def run(self, testbench) -> None:
        async def start(ctx, bench: "Bench"):
            bench.ctx = ctx
            ctx.set(bench.walker.ram_end, RAM_END)
            await testbench(bench)

        self.simulator.run(start, self)

    async def serve(self, ctx) -> None:
        """The data cache's side: stalls, checks that the request is held."""
        port = self.walker.memory
        fields = port.set_bits, port.address, port.expected, port.bits
        while True:
            await ctx.tick()
            if not ctx.get(port.valid):
                continue
            asked = [ctx.get(signal) for signal in fields]
            for _ in range(self.rng.randrange(self.stall + 1)):
                await ctx.tick()
                assert ctx.get(port.valid) and asked == [ctx.get(signal) for signal in fields], "not held"
            set_bits, address, expected, bits = asked
            assert address % 8 == 0
            if set_bits:
                value = self.memory.set_bits(address, expected, bits)
            else:
                value = self.memory.read(address)
                self.reads.append(address)
            ctx.set(port.error, value is None)
            ctx.set(port.data, self.rng.getrandbits(64) if value is None else value)
            ctx.set(port.done, 1)
            await ctx.tick()
            ctx.set(port.done, 0)
            ctx.set(port.error, 0)
            ctx.set(port.data, self.rng.getrandbits(64))

    async def configure(self, *entries: tuple[int, int]) -> None:
        """Reset, then set PMP entries (config, pmpaddr) from 0 on."""
        ctx, pmp = self.ctx, self.pmp
        ctx.set(self.reset_signal, 1)
        await ctx.tick()
        ctx.set(self.reset_signal, 0)
        self.pmp_model = PmpModel()
        writes = [(0x3B0 + number, address) for number, (_, address) in enumerate(entries)]
        for half in range(2):
            value = sum(config << 8 * byte for byte, (config, _) in enumerate(entries[8 * half : 8 * half + 8]))
            writes.append((0x3A0 + 2 * half, value))
        ctx.set(pmp.select, 1)
        ctx.set(pmp.write, 1)
        for csr, value in writes:
            ctx.set(pmp.address, csr)
            ctx.set(pmp.write_data, value)
            self.pmp_model.write(csr, value)
            await ctx.tick()
        ctx.set(pmp.select, 0)
        ctx.set(pmp.write, 0)

    async def walk(self, context: Context, va: int, access: Access, length: int = 1) -> dict | Cause:
        """One walk: the entry's fields or the cause."""
        ctx, walker = self.ctx, self.walker
        request, response = walker.request, walker.response
        for _ in range(self.rng.randrange(self.stall + 1)):
            await ctx.tick()
        self.reads = []
        ctx.set(request.payload, {"va": va, "access": access, "context": context.as_dict(), "length": length})
        ctx.set(request.valid, 1)
        await ctx.tick().until(request.ready)
        ctx.set(request.valid, 0)
        ctx.set(request.payload, {"va": self.rng.getrandbits(64)})
        self.cycles = 1
        while not ctx.get(response.valid):
            await ctx.tick()
            self.cycles += 1
            assert self.cycles < 1000, "no answer"
        payload = ctx.get(response.payload)
        for _ in range(self.rng.randrange(self.stall + 1)):
            await ctx.tick()
            assert ctx.get(response.valid) and ctx.get(response.payload).as_bits() == payload.as_bits(), "not held"
        ctx.set(response.ready, 1)
        await ctx.tick()
        ctx.set(response.ready, 0)
        if payload.fault:
            return payload.cause
        return {name: getattr(payload.entry, name) for name, _ in payload.entry.shape()}


def tables(flags: int, target: int = TARGET, *, middle_flags: int = V, root_flags: int = V) -> dict[int, int]:
    """Three levels that map va 0x0..0xfff."""
    return {ROOT: pte(MIDDLE, root_flags), MIDDLE: pte(LEAF, middle_flags), LEAF: pte(target, flags)}


def one_walk(
    words: dict[int, int],
    access: Access = LOAD,
    va: int = 0,
    length: int = 1,
    *,
    context: Context | None = None,
    pmp: tuple = OPEN,
    errors: tuple[int, ...] = (),
    changes: tuple[int | None, ...] = (),
) -> tuple[dict | Cause, Bench]:
    """One walk in a bench of its own."""
    bench = Bench()
    bench.memory = Physical(dict(words), set(errors), list(changes))
    result: list = []

    async def testbench(bench: Bench):
        await bench.configure(*pmp)
        result.append(await bench.walk(context or Context(root=ROOT >> 12), va, access, length))

    bench.run(testbench)
    return result[0], bench


FULL = V | R | W | X | A | D
PAGE_CAUSE = {FETCH: Cause.FETCH_PAGE, LOAD: Cause.LOAD_PAGE, STORE: Cause.STORE_PAGE}
ACCESS_CAUSE = {FETCH: Cause.FETCH_ACCESS, LOAD: Cause.LOAD_ACCESS, STORE: Cause.STORE_ACCESS}


def test_leaf_gives_every_field_of_the_entry():
    entry, _ = one_walk(tables(V | R | X | U | G | A | D, 0x8000_7000), context=Context(USER, 1, 0x1234, ROOT >> 12))
    assert entry == {
        "valid": 1,
        "space": Space.TRANSLATED,
        "vpn": 0,
        "asid": 0x1234,
        "is_global": 1,
        "superpage": 0,
        "ppn": 0x80007,
        "user": 1,
        "read": 1,
        "write": 0,
        "execute": 1,
        "execute_readable": 1,
        "cacheable": 1,
        "mixed": 0,
    }


@pytest.mark.parametrize("level", [1, 2])
def test_superpage_is_fractured(level: int):
    va = 0x1234_5678 if level == 1 else 0x3456_7890
    base = 0x8000_0000
    words = {ROOT + (va >> 30) * 8: pte(base if level == 2 else MIDDLE, FULL if level == 2 else V)}
    words[MIDDLE + (va >> 21 & 511) * 8] = pte(base, FULL)
    entry, _ = one_walk(words, va=va)
    assert entry["superpage"] == 1
    assert entry["ppn"] == (base | va & ((1 << 12 + 9 * level) - 1)) >> 12
    assert entry["vpn"] == va >> 12


@pytest.mark.parametrize("level", [0, 1, 2])
def test_global_of_any_level_counts(level: int):
    words = tables(FULL | (G if level == 0 else 0), middle_flags=V | (G if level == 1 else 0))
    words[ROOT] |= G if level == 2 else 0
    assert one_walk(words)[0]["is_global"] == 1


def test_without_global_the_entry_is_not():
    assert one_walk(tables(FULL))[0]["is_global"] == 0


@pytest.mark.parametrize("access", [FETCH, LOAD, STORE])
@pytest.mark.parametrize(
    "words",
    [
        pytest.param({}, id="root not valid"),
        pytest.param(tables(FULL & ~V), id="leaf not valid"),
        pytest.param(tables(FULL & ~V, middle_flags=0), id="pointer not valid"),
        pytest.param(tables(V | W | X | A | D), id="W without R"),
        pytest.param(tables(V | W | A | D), id="W alone"),
        pytest.param(tables(V) | {TARGET: pte(0x8000_0000, FULL)}, id="pointer at the last level"),
        pytest.param(tables(FULL, middle_flags=V | U), id="pointer with U"),
        pytest.param(tables(FULL, middle_flags=V | A), id="pointer with A"),
        pytest.param(tables(FULL, middle_flags=V | D), id="pointer with D"),
        pytest.param(tables(FULL | U), id="S-mode on a user page"),
        *(pytest.param(tables(FULL | 1 << bit), id=f"reserved bit {bit}") for bit in range(54, 64)),
        *(pytest.param(tables(FULL, middle_flags=V | 1 << bit), id=f"pointer bit {bit}") for bit in (54, 61, 63)),
        *(
            pytest.param({ROOT: pte(MIDDLE, V), MIDDLE: pte(0x8000_0000 | 1 << bit, FULL)}, id=f"misaligned 2M {bit}")
            for bit in (12, 20)
        ),
        *(
            pytest.param({ROOT: pte(0x8000_0000 | 1 << bit, FULL)}, id=f"misaligned 1G {bit}")
            for bit in (12, 20, 21, 29)
        ),
    ],
)
def test_page_fault(words: dict[int, int], access: Access):
    assert one_walk(words, access)[0] == PAGE_CAUSE[access]


@pytest.mark.parametrize(
    ("access", "flags", "context"),
    [
        (FETCH, FULL & ~X, {}),
        (LOAD, V | X | A | D, {}),
        (LOAD, V | X | A | D, {"sum": 1}),
        (STORE, FULL & ~W, {}),
        (STORE, V | X | A | D, {"mxr": 1}),
        (FETCH, V | R | A | D, {"mxr": 1}),
        (LOAD, FULL, {"privilege": USER}),
        (STORE, FULL, {"privilege": USER}),
        (FETCH, FULL, {"privilege": USER}),
        (FETCH, FULL | U, {"sum": 1}),
    ],
)
def test_page_fault_by_permission(access: Access, flags: int, context: dict):
    assert one_walk(tables(flags), access, context=Context(root=ROOT >> 12, **context))[0] == PAGE_CAUSE[access]


@pytest.mark.parametrize(
    ("access", "flags", "context"),
    [
        (LOAD, V | X | A | D, {"mxr": 1}),
        (LOAD, FULL | U, {"sum": 1}),
        (STORE, FULL | U, {"sum": 1}),
        (LOAD, FULL | U, {"privilege": USER}),
        (FETCH, FULL | U, {"privilege": USER}),
        (FETCH, V | X | A, {}),
    ],
)
def test_permission_is_given(access: Access, flags: int, context: dict):
    entry = one_walk(tables(flags), access, context=Context(root=ROOT >> 12, **context))[0]
    assert entry["ppn"] == TARGET >> 12
    assert entry["user"] == flags >> 4 & 1
    assert entry["read"] == flags >> 1 & 1
    assert entry["execute_readable"] == flags >> 3 & 1


@pytest.mark.parametrize("access", [FETCH, LOAD, STORE])
@pytest.mark.parametrize("va", [1 << 38, 1 << 39, 1 << 63, (1 << 64) - (1 << 39), (1 << 64) - 1 - (1 << 38)])
def test_noncanonical_address_is_a_page_fault(va: int, access: Access):
    # tables that would translate it if the upper bits did not count
    words = {}
    for table, child in ((ROOT, MIDDLE), (MIDDLE, LEAF)):
        for index in (0, 256, 511):
            words[table + 8 * index] = pte(child, V)
    for index in (0, 511):
        words[LEAF + 8 * index] = pte(TARGET, FULL)
    assert one_walk(words, access, va)[0] == PAGE_CAUSE[access]


def test_upper_half_is_canonical():
    words = {ROOT + 8 * 511: pte(MIDDLE, V), MIDDLE + 8 * 511: pte(LEAF, V), LEAF + 8 * 511: pte(TARGET, FULL)}
    assert one_walk(words, va=(1 << 64) - 8)[0]["vpn"] == (1 << 27) - 1


@pytest.mark.parametrize("access", [FETCH, LOAD, STORE])
@pytest.mark.parametrize(
    "where",
    ["root", "pointer", "leaf"],
)
@pytest.mark.parametrize("bit", [36, 55])
def test_address_beyond_the_decoded_bits_is_an_access_fault(where: str, bit: int, access: Access):
    words = tables(FULL)
    context = Context(root=ROOT >> 12)
    if where == "root":
        context = Context(root=(ROOT | 1 << bit) >> 12)
    else:
        words[{"pointer": MIDDLE, "leaf": LEAF}[where]] |= 1 << bit >> 2
    assert one_walk(words, access, context=context)[0] == ACCESS_CAUSE[access]


@pytest.mark.parametrize("access", [FETCH, LOAD, STORE])
@pytest.mark.parametrize("address", [ROOT, MIDDLE, LEAF])
def test_bus_error_on_a_pte_is_an_access_fault(address: int, access: Access):
    assert one_walk(tables(FULL), access, errors=(address,))[0] == ACCESS_CAUSE[access]


@pytest.mark.parametrize("access", [FETCH, LOAD, STORE])
@pytest.mark.parametrize("address", [ROOT, MIDDLE, LEAF])
def test_unreadable_pte_is_an_access_fault(address: int, access: Access):
    hole = pmp_config(NAPOT, "wx"), napot(address, 8)
    assert one_walk(tables(FULL), access, pmp=(hole, *OPEN))[0] == ACCESS_CAUSE[access]
    # and not a page fault, whatever the PTE says
    assert one_walk(tables(0), access, pmp=(hole, *OPEN))[0] == ACCESS_CAUSE[access]


@pytest.mark.parametrize("access", [FETCH, LOAD, STORE])
def test_pte_in_locked_machine_memory_is_checked_as_supervisor(access: Access):
    # U-mode's walk reads PTEs with S-mode's rights, which an unlocked entry binds
    hole = pmp_config(NAPOT, ""), napot(MIDDLE, PAGE)
    context = Context(USER, root=ROOT >> 12)
    assert one_walk(tables(FULL | U), access, context=context, pmp=(hole, *OPEN))[0] == ACCESS_CAUSE[access]


def test_pte_outside_dram_is_not_read_where_pmp_forbids():
    table = 0x1000_0000
    hole = pmp_config(NAPOT, "w"), napot(table, PAGE)
    cause, bench = one_walk({table: pte(TARGET, FULL)}, context=Context(root=table >> 12), pmp=(hole, *OPEN))
    assert cause == Cause.LOAD_ACCESS
    assert bench.reads == []


def test_pte_outside_dram_is_read_where_pmp_allows():
    table = 0x1000_0000
    words = {table: pte(0, FULL)}
    assert one_walk(words, context=Context(root=table >> 12))[0]["ppn"] == 0


@pytest.mark.parametrize(
    ("access", "flags", "after"),
    [
        (LOAD, V | R | W, A),
        (FETCH, V | X, A),
        (STORE, V | R | W, A | D),
        (STORE, V | R | W | A, A | D),
        (LOAD, V | R | W | A, A),
        (LOAD, V | R | W | D, A | D),
    ],
)
def test_accessed_and_dirty_are_set(access: Access, flags: int, after: int):
    entry, bench = one_walk(tables(flags), access)
    assert bench.memory.words == tables(flags | after)
    assert entry["write"] == int(bool(flags & W and after & D))


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        (pte(0x8000_8000, V | R | W), 0x80008),
        (0, Cause.STORE_PAGE),
        (pte(0x8000_8000, V | R), Cause.STORE_PAGE),
        (pte(0x8000_8000, V | R | W | A | D | U), Cause.STORE_PAGE),
        (pte(0x8000_8000, V | R | W | A | D), 0x80008),
    ],
)
def test_pte_that_changed_before_the_update_is_judged_again(changed: int, expected: int | Cause):
    result, bench = one_walk(tables(V | R | W | A), STORE, changes=(changed,))
    if isinstance(expected, Cause):
        assert result == expected
        assert bench.memory.words[LEAF] == changed
    else:
        assert result["ppn"] == expected
        assert bench.memory.words[LEAF] == changed | A | D


@pytest.mark.parametrize("access", [FETCH, LOAD, STORE])
def test_pte_that_pmp_forbids_to_write_keeps_its_bits(access: Access):
    hole = pmp_config(NAPOT, "rx"), napot(LEAF, 8)
    words = tables(V | R | W | X)
    cause, bench = one_walk(words, access, pmp=(hole, *OPEN))
    assert cause == ACCESS_CAUSE[access]
    assert bench.memory.words == words
    # and with the bits set there is nothing to write
    assert one_walk(tables(FULL), access, pmp=(hole, *OPEN))[0]["ppn"] == TARGET >> 12


@pytest.mark.parametrize("access", [FETCH, LOAD, STORE])
def test_pte_outside_dram_is_not_updated(access: Access):
    table = 0x1000_0000
    words = {table: pte(0x8000_0000, V | R | W | X)}
    cause, bench = one_walk(words, access, va=0, context=Context(root=table >> 12))
    assert cause == ACCESS_CAUSE[access]
    assert bench.memory.words == words


def test_bus_error_on_the_update_is_an_access_fault():
    bench = Bench()
    bench.memory = Physical(tables(V | R | W))

    async def testbench(bench: Bench):
        await bench.configure(*OPEN)
        real = bench.memory.set_bits
        bench.memory.set_bits = lambda *arguments: None
        assert await bench.walk(Context(root=ROOT >> 12), 0, STORE) == Cause.STORE_ACCESS
        bench.memory.set_bits = real

    bench.run(testbench)


@pytest.mark.parametrize("privilege", [USER, SUPERVISOR, MACHINE])
def test_bare_is_identity_and_needs_no_memory(privilege: Privilege):
    # M-mode ignores satp
    context = Context(privilege, sv39=int(privilege == MACHINE), root=ROOT >> 12)
    entry, bench = one_walk({}, STORE, 0x8000_5678, context=context)
    assert bench.reads == []
    assert entry["space"] == (Space.BARE_M if privilege == MACHINE else Space.BARE_SU)
    assert (entry["ppn"], entry["vpn"], entry["is_global"], entry["superpage"]) == (0x80005, 0x80005, 1, 0)
    assert entry["read"] and entry["write"] and entry["execute"] and entry["cacheable"]


@pytest.mark.parametrize("access", [FETCH, LOAD, STORE])
@pytest.mark.parametrize("bit", [36, 39, 56, 63])
def test_wide_bare_address_is_an_access_fault(bit: int, access: Access):
    assert one_walk({}, access, 0x8000_0000 | 1 << bit, context=Context(MACHINE))[0] == ACCESS_CAUSE[access]


@pytest.mark.parametrize(
    ("address", "cacheable", "fetch"),
    [
        (0, 0, False),
        (0x1000, 0, True),
        (0xF000, 0, True),
        (0x1_0000, 0, False),
        (0x1000_0000, 0, False),
        (0x1FFF_F000, 0, False),
        (0x2000_0000, 0, True),
        (0x23FF_F000, 0, True),
        (0x2400_0000, 0, False),
        (0x7FFF_F000, 0, False),
        (0x8000_0000, 1, True),
        (RAM_END - PAGE, 1, True),
        (RAM_END, 0, False),
        (0x4_0000_0000, 0, False),
    ],
)
def test_memory_attributes(address: int, cacheable: int, fetch: bool):
    entry = one_walk({}, LOAD, address, context=Context(MACHINE))[0]
    assert (entry["cacheable"], entry["read"], entry["write"], entry["execute"]) == (cacheable, 1, 1, fetch)
    result = one_walk({}, FETCH, address, context=Context(MACHINE))[0]
    assert (result["execute"] == 1) if fetch else (result == Cause.FETCH_ACCESS)


@pytest.mark.parametrize(("flags", "access"), [("wx", LOAD), ("rx", STORE), ("rw", FETCH)])
def test_pmp_denial_is_an_access_fault(flags: str, access: Access):
    hole = pmp_config(NAPOT, flags), napot(TARGET, PAGE)
    assert one_walk(tables(FULL), access, pmp=(hole, *OPEN))[0] == ACCESS_CAUSE[access]
    # the other accesses get an entry that lacks this right
    other = next(other for other in (LOAD, STORE, FETCH) if other != access)
    entry = one_walk(tables(FULL), other, pmp=(hole, *OPEN))[0]
    assert (entry["read"], entry["write"], entry["execute"]) == tuple(int(flag in flags) for flag in "rwx")
    assert entry["execute_readable"] == entry["read"]


def test_mxr_does_not_overrule_pmp():
    hole = pmp_config(NAPOT, "x"), napot(TARGET, PAGE)
    context = Context(root=ROOT >> 12, mxr=1)
    assert one_walk(tables(FULL), LOAD, context=context, pmp=(hole, *OPEN))[0] == Cause.LOAD_ACCESS


@pytest.mark.parametrize(
    ("va", "length", "allowed"),
    [
        (0x100, 4, True),
        (0x0FC, 4, False),
        (0x0FF, 2, False),
        (0x101, 8, False),
        (0x104, 4, False),
        (0x0FE, 8, False),
        (0x103, 1, True),
    ],
)
def test_mixed_page_is_decided_by_the_access(va: int, length: int, allowed: bool):
    pmp = (pmp_config(NA4, "r"), (TARGET + 0x100) >> 2), (pmp_config(NAPOT, ""), napot(TARGET, PAGE)), *OPEN
    result = one_walk(tables(FULL), LOAD, va, length, pmp=pmp)[0]
    if allowed:
        assert (result["mixed"], result["ppn"], result["read"], result["write"]) == (1, TARGET >> 12, 1, 0)
    else:
        assert result == Cause.LOAD_ACCESS


def test_fetch_on_a_mixed_page_is_decided_by_its_length():
    pmp = (pmp_config(NA4, "x"), (TARGET + 0x100) >> 2), (pmp_config(NAPOT, ""), napot(TARGET, PAGE)), *OPEN
    for offset, length, allowed in ((0x100, 4, True), (0x102, 2, True), (0x100, 8, False), (0x102, 4, False)):
        result = one_walk(tables(FULL), FETCH, offset, length, pmp=pmp)[0]
        assert (result != Cause.FETCH_ACCESS) == allowed


def test_mixed_page_in_machine_mode_fails_only_across_the_border():
    pmp = ((pmp_config(NA4, ""), (TARGET + 0x100) >> 2),)
    assert one_walk({}, LOAD, TARGET + 0x100, 4, context=Context(MACHINE), pmp=pmp)[0]["mixed"] == 1
    assert one_walk({}, LOAD, TARGET + 0x0FC, 4, context=Context(MACHINE), pmp=pmp)[0]["mixed"] == 1
    assert one_walk({}, LOAD, TARGET + 0x0FC, 8, context=Context(MACHINE), pmp=pmp)[0] == Cause.LOAD_ACCESS


def test_a_kernel_walk_is_short():
    # as OpenSBI leaves PMP: CLINT and firmware closed, the rest open
    pmp = (
        (pmp_config(NAPOT), napot(0x200_0000, 0x1_0000)),
        (pmp_config(NAPOT), napot(0x8000_0000, 0x8_0000)),
        (pmp_config(NAPOT, "rwx"), (1 << 54) - 1),
    )
    root, middle, leaf = 0x8008_0000, 0x8008_1000, 0x8008_2000
    words = {root: pte(middle, V), middle: pte(leaf, V), leaf: pte(0x8008_3000, FULL)}
    entry, bench = one_walk(words, context=Context(root=root >> 12), pmp=pmp)
    assert entry["ppn"] == 0x80083
    # two cycles to begin and answer, three PTEs of three PMP entries and a judgement each, the page's three entries; a
    # check takes two cycles more than it has entries
    assert bench.cycles <= 3 * 6 + 5 + 3
    print(bench.cycles)


@pytest.mark.parametrize("stall", [0, 4])
def test_random_walks_equal_the_model(stall: int):
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    bench = Bench(seed, stall)
    reasons: Counter = Counter()
    pages = [0x8000_0000 + PAGE * number for number in range(16)]

    def random_pmp() -> list[tuple[int, int]]:
        entries = []
        for _ in range(rng.choice((0, 0, 1, 2, 3))):
            matching = rng.choice((OFF, TOR, TOR, NA4, NAPOT, NAPOT))
            address = (rng.choice(pages) + rng.choice((0, 0, rng.randrange(0, PAGE, 4)))) >> 2
            if matching == NAPOT:
                ones = rng.choice((0, 1, 5, 8, 9, 9, 9, 10, 12))
                address = address & ~(1 << ones) | ((1 << ones) - 1)
            flags = "".join(flag for flag in "rwx" if rng.random() < 0.6)
            entries.append((pmp_config(matching, flags, lock=rng.random() < 0.3), address))
        return [*entries, *OPEN] if rng.random() < 0.97 else entries

    def random_pte(level: int, user: bool = False) -> int:
        if rng.random() < (0.1 if level else 0):
            target = rng.choice((0x8000_0000, 0, 0x4000_0000, 1 << 36)) | rng.choice((0, 0, 0, 0x3000, 1 << 21))
            leaf = True
        else:
            target = rng.choice(pages) if rng.random() < 0.95 else rng.choice((0x1000, 0x2000_0000, 0x10_0000, 1 << 40))
            leaf = level == 0 and rng.random() < 0.97
        flags = V
        if leaf:
            flags |= R | X if rng.random() < 0.5 else rng.choice((R, X, R | X))
            flags |= W if flags & R and rng.random() < 0.6 or rng.random() < 0.05 else 0
            flags |= U if rng.random() < (0.8 if user else 0.3) else 0
            flags |= A if rng.random() < 0.6 else 0
            flags |= D if rng.random() < 0.5 else 0
        elif rng.random() < 0.04:
            flags |= rng.choice((U, A, D))
        flags |= rng.choice((0, 0, G, 0x100, 0x200))
        if rng.random() < 0.03:
            flags ^= rng.choice((V, 1 << rng.randrange(54, 64)))
        return pte(target, flags)

    async def testbench(bench: Bench):
        for _ in range(80):
            entries = random_pmp()
            await bench.configure(*entries)
            for _ in range(12):
                bare = rng.random() < 0.1
                va = rng.choice(pages) if bare else (rng.getrandbits(39) ^ 1 << 38) - (1 << 38) & ((1 << 64) - 1)
                length = rng.choice((1, 2, 4, 8, rng.randrange(1, 9)))
                border = [address << 2 for _, address in entries]
                offset = rng.choice((rng.randrange(PAGE), rng.choice(border or [0]) + rng.randrange(-8, 8))) % PAGE
                va = va & ~(PAGE - 1) | min(offset, PAGE - length)
                if rng.random() < 0.03:
                    va ^= 1 << rng.randrange(36, 64)
                table = rng.choice(pages) if rng.random() < 0.97 else rng.choice((0x1000_0000, 1 << 37))
                context = Context(
                    rng.choice((USER, SUPERVISOR, SUPERVISOR, MACHINE) if bare else (USER, SUPERVISOR)),
                    int(not bare),
                    rng.getrandbits(16),
                    table >> 12,
                    rng.getrandbits(1),
                    rng.getrandbits(1),
                )
                words: dict[int, int] = {}
                for level in (2, 1, 0):
                    slot = table + (va >> (12 + 9 * level) & 511) * 8
                    if slot not in words:
                        words[slot] = random_pte(level, context.privilege == USER)
                    table = words[slot] >> 10 << 12
                bench.memory = Physical(words)
                if rng.random() < 0.03:
                    bench.memory.errors.add(rng.choice(list(words)))
                if rng.random() < 0.4:
                    bench.memory.changes = [
                        rng.choice((None, random_pte(0), random_pte(0), random_pte(2))) for _ in range(2)
                    ]
                access = rng.choice((FETCH, LOAD, STORE))
                judge = bench.memory.copy()
                try:
                    expected = walk(judge, bench.pmp_model, context, va, access, length, ram_end=RAM_END)
                    reasons["mixed entry" if expected["mixed"] else "entry"] += 1
                except Fault as fault:
                    expected = fault.cause
                    reasons[fault.reason] += 1
                got = await bench.walk(context, va, access, length)
                where = f"{va:#x}+{length} {access.name} {context} {words} {entries}"
                assert got == expected, f"{where}: {got}, expected {expected} ({list(reasons)[-1]})"
                assert bench.memory.words == judge.words, where

    bench.run(testbench)
    print(reasons)
    assert reasons["entry"] > 50
    assert len(reasons) > 15
