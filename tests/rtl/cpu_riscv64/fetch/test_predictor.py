"""The branch predictor: what it learns, and that history and return stack follow a Python model."""

import random
from typing import Any

import pytest

from rtl.cpu_riscv64.config import CoreConfig
from rtl.cpu_riscv64.fetch.predictor import TAG_BITS, VARYING_BITS, BranchKind, Predictor
from tests.rtl.cpu_riscv64.mmu.bench import SharedSimulator

CONFIG = CoreConfig()
ROWS = (1 << CONFIG.history_bits) - 1
U64 = (1 << 64) - 1


def bits(address: int) -> int:
    return address >> 1 & (1 << 38) - 1


class Driver:
    """Reads, accepts and trains, one thing at a time."""

    def __init__(self, dut: Predictor, ctx: Any, seed: int):
        print("seed", seed)
        self.dut, self.ctx, self.rng = dut, ctx, random.Random(seed)

    async def look(self, pc: int) -> dict[str, Any]:
        """The prediction for `pc`; it stays while nothing is read."""
        ctx, dut = self.ctx, self.dut
        ctx.set(dut.next_pc, pc)
        ctx.set(dut.read, 1)
        await ctx.tick()
        ctx.set(dut.read, 0)
        ctx.set(dut.pc, pc)
        ctx.set(dut.next_pc, self.rng.getrandbits(64))
        for _ in range(self.rng.choice((0, 0, 2))):
            await ctx.tick()
        p = dut.prediction
        result = {name: ctx.get(getattr(p, name)) for name in ("taken", "last", "known", "index", "history", "ras_top")}
        result["counters"] = [ctx.get(p.counters[i]) for i in range(4)]
        result["offset"] = [ctx.get(p.offset[i]) for i in range(2)]
        result["target"] = ctx.get(dut.target.address())
        return result

    async def accept(self, next_pc: int) -> None:
        """The block looked up last goes on to decode, and `next_pc` is read; a cycle for the return stack."""
        ctx, dut = self.ctx, self.dut
        ctx.set(dut.accept, 1)
        ctx.set(dut.read, 1)
        ctx.set(dut.next_pc, next_pc)
        await ctx.tick()
        ctx.set(dut.accept, 0)
        ctx.set(dut.read, 0)
        ctx.set(dut.pc, next_pc)
        await ctx.tick()

    async def train(self, **fields: Any) -> None:
        """One training; fields that are not given are noise where they must not matter, else 0."""
        ctx, training = self.ctx, self.dut.training
        for name in ("counter_write", "entry_write", "entry_known", "varies"):
            ctx.set(getattr(training, name), fields.pop(name, 0))
        for name, value in fields.items():
            ctx.set(getattr(training, name), value)
        await ctx.tick()
        for name in ("counter_write", "entry_write"):
            ctx.set(getattr(training, name), 0)
        ctx.set(training.address, self.rng.getrandbits(64))
        ctx.set(training.counter, self.rng.getrandbits(2))
        for _ in range(2):
            await ctx.tick()

    async def repair(self, **fields: Any) -> None:
        """A redirect; afterwards noise that must not matter."""
        ctx, repair = self.ctx, self.dut.repair
        for name, value in {"valid": 1, **fields}.items():
            ctx.set(getattr(repair, name), value)
        await ctx.tick()
        ctx.set(repair.valid, 0)
        for name in ("history", "ras_top", "conditional", "taken", "call", "returns"):
            ctx.set(getattr(repair, name), self.rng.getrandbits(1))

    async def teach(self, address: int, kind: BranchKind, target: int, **fields: Any) -> None:
        entry = {"entry_valid": 1, "kind": kind, "target": {"bits": bits(target)}}
        await self.train(address=address, entry_write=1, **{**entry, **fields})


@pytest.fixture(scope="module")
def run():
    dut = Predictor(CONFIG)
    simulator = SharedSimulator(dut)

    def run(seed, testbench):
        async def start(ctx, _):
            await testbench(Driver(dut, ctx, seed))

        simulator.run(start, None)

    return run


def test_a_jump_is_predicted_once_taught_from_every_start_before_it(run):
    async def testbench(d):
        for _ in range(20):
            address = d.rng.choice((0x8000_0000, 0xFFFF_FFC0_0000_0000)) + d.rng.randrange(0, 1 << 20, 2)
            target = d.rng.choice((0x8000_0000, 0xFFFF_FFC0_0000_0000)) + d.rng.randrange(0, 1 << 20, 2)
            block, offset = address & -8, address >> 1 & 3
            assert not (await d.look(block))["taken"]
            await d.teach(address, BranchKind.JUMP, target)
            for start in range(4):
                p = await d.look(block + 2 * start)
                assert p["taken"] == (start <= offset)
                assert bool(p["known"]) == (start <= offset)
                if p["taken"]:
                    assert (p["last"], p["target"]) == (offset, target)

    run(1, testbench)


def test_a_conditional_branch_goes_where_its_counter_says(run):
    async def testbench(d):
        address, target = 0x8000_1234, 0x8000_4000
        p = await d.look(address)
        await d.teach(address, BranchKind.CONDITIONAL, target)
        for counter in (0, 3, 1, 2, 0):
            await d.train(address=address, counter_write=1, counter=counter, counter_index=p["index"])
            p = await d.look(address)
            assert p["counters"][address >> 1 & 3] == counter
            assert p["taken"] == (counter >= 2)
            assert p["known"], "known also where it is not taken: its counter is to be trained"
        others = [c for i, c in enumerate(p["counters"]) if i != address >> 1 & 3]
        assert others == [0, 0, 0], "the counters of other positions changed"

    run(2, testbench)


def test_of_two_branches_in_a_block_the_first_that_is_taken_counts(run):
    async def testbench(d):
        block = 0x8000_2000
        for first, second in ((0, 2), (3, 1), (1, 2)):
            block += 8
            await d.teach(block + 2 * first, BranchKind.JUMP, 0x1000)
            await d.teach(block + 2 * second, BranchKind.JUMP, 0x2000)
            p = await d.look(block)
            assert p["known"] == 3 and p["last"] == min(first, second)
            p = await d.look(block + 2 * (min(first, second) + 1))
            assert p["taken"] and p["last"] == max(first, second)

    run(3, testbench)


def test_an_entry_that_proved_wrong_is_dropped_and_one_that_moved_is_replaced(run):
    async def testbench(d):
        address = 0x8000_0ABC
        await d.teach(address, BranchKind.JUMP, 0x3000)
        p = await d.look(address & -8)
        way = p["offset"].index(address >> 1 & 3) if p["known"] == 3 else p["known"] >> 1
        await d.teach(address, BranchKind.JUMP, 0x5000, entry_known=1, entry_way=way)
        p = await d.look(address & -8)
        assert p["taken"] and p["target"] == 0x5000 and p["known"] == 1 << way
        await d.train(address=address, entry_write=1, entry_valid=0, entry_known=1, entry_way=way)
        p = await d.look(address & -8)
        assert not p["taken"] and not p["known"]

    run(4, testbench)


def test_blocks_that_share_a_set_are_told_apart_by_their_tags(run):
    async def testbench(d):
        address = 0x8000_0100
        await d.teach(address, BranchKind.JUMP, 0x3000)
        set_bits = (CONFIG.btb_sets - 1).bit_length()
        for bit in range(3, 3 + set_bits + TAG_BITS):
            assert not (await d.look(address ^ 1 << bit))["known"], f"address bit {bit} is ignored"
        assert (await d.look(address))["known"]
        await d.teach(address ^ 1 << 12, BranchKind.JUMP, 0x4000)
        assert (await d.look(address))["target"] == 0x3000, "the set holds two"
        assert (await d.look(address ^ 1 << 12))["target"] == 0x4000

    run(5, testbench)


def test_returns_go_to_where_their_calls_came_from(run):
    async def testbench(d):
        calls = [0x8000_0000 + 0x108 * n + 2 * (n % 4) for n in range(6)]
        functions = [0x8001_0000 + 0x208 * n for n in range(6)]
        for call, function in zip(calls, functions, strict=True):
            await d.teach(call, BranchKind.CALL, function)
            await d.teach(function + 6, BranchKind.RETURN, 0x666)
        stack = []
        for _ in range(60):
            if len(stack) < CONFIG.ras_entries and (not stack or d.rng.random() < 0.5):
                n = d.rng.randrange(6)
                p = await d.look(calls[n] & -8)
                assert p["taken"] and p["target"] == functions[n]
                stack.append(calls[n] + 2)
            else:
                p = await d.look(d.rng.choice(functions))
                assert p["taken"] and p["target"] == stack.pop()
            await d.accept(0x8002_0000)

    run(6, testbench)


def test_a_repair_brings_back_history_and_return_stack_and_applies_the_branch(run):
    async def testbench(d):
        model = {"history": 0, "ras": 0}
        stack = [0] * CONFIG.ras_entries
        conditional, call, back = 0x8000_0106, 0x8000_0202, 0x8000_0300
        await d.teach(conditional, BranchKind.CONDITIONAL, 0x4000)
        await d.teach(call, BranchKind.CALL, 0x5000)
        await d.teach(back, BranchKind.RETURN, 0)
        for row in range(1 << CONFIG.history_bits):  # taken in every second row
            d.ctx.set(d.dut.training.counter_write, 1)
            d.ctx.set(d.dut.training.counter_index, row)
            d.ctx.set(d.dut.training.counter, 2 * (row & 1))
            d.ctx.set(d.dut.training.address, conditional)
            await d.ctx.tick()
        d.ctx.set(d.dut.training.counter_write, 0)
        top = CONFIG.ras_entries
        for _ in range(120):
            address = d.rng.choice((conditional, call, back, 0x8000_0400))
            p = await d.look(address & -8)
            assert (p["history"], p["ras_top"]) == (model["history"], model["ras"])
            assert p["index"] == (address >> 3 ^ model["history"]) & ROWS
            if address == conditional:
                assert p["taken"] == p["index"] & 1
            if address == back:
                assert p["target"] == stack[model["ras"]]
            if d.rng.random() < 0.7:
                await d.accept(0x8000_0400)
                # the index read with the next block does not know of it yet
                assert d.ctx.get(d.dut.prediction.index) == (0x8000_0400 >> 3 ^ model["history"]) & ROWS
                if address == conditional:
                    model["history"] = (model["history"] << 1 | p["taken"]) & ROWS
                if address == call:
                    model["ras"] = (model["ras"] + 1) % top
                    stack[model["ras"]] = call + 2
                if address == back:
                    model["ras"] = (model["ras"] - 1) % top
            else:
                kind = d.rng.choice(list(BranchKind))
                branch = kind == BranchKind.CONDITIONAL
                old = {"history": d.rng.getrandbits(CONFIG.history_bits), "ras_top": d.rng.randrange(top)}
                taken, link = d.rng.randrange(2), 2 * d.rng.getrandbits(20)
                await d.repair(
                    conditional=branch,
                    taken=taken if branch else 1,
                    call=kind == BranchKind.CALL,
                    returns=kind == BranchKind.RETURN,
                    link={"bits": link >> 1},
                    **old,
                )
                model["history"] = (old["history"] << 1 | taken) & ROWS if branch else old["history"]
                model["ras"] = old["ras_top"]
                if kind == BranchKind.CALL:
                    model["ras"] = (model["ras"] + 1) % top
                    stack[model["ras"]] = link
                if kind == BranchKind.RETURN:
                    model["ras"] = (model["ras"] - 1) % top

    run(7, testbench)


def test_a_jump_that_varies_goes_where_it_went_after_the_same_history(run):
    async def testbench(d):
        address, first = 0x8000_1206, 0x8000_4000
        await d.teach(address, BranchKind.JUMP, first)
        went = {}
        for history in d.rng.sample(range(1 << CONFIG.history_bits), 40):
            await d.repair(history=history, conditional=0, call=0, returns=0, ras_top=0)
            p = await d.look(address & -8)
            row = p["index"] % (1 << VARYING_BITS)
            assert p["taken"] and p["target"] == went.get(row, went.get("last", first)), f"history {history:#x}"
            target = 0x8000_0000 + d.rng.randrange(0, 1 << 24, 2)
            await d.teach(
                address,
                BranchKind.JUMP,
                target,
                varies=1,
                counter_index=p["index"],
                entry_known=1,
                entry_way=p["known"] >> 1,
            )
            went[row] = went["last"] = target
        for history in d.rng.sample(range(1 << CONFIG.history_bits), 40):
            await d.repair(history=history, conditional=0, call=0, returns=0, ras_top=0)
            p = await d.look(address & -8)
            assert p["target"] == went.get(p["index"] % (1 << VARYING_BITS), went["last"])

    run(8, testbench)


def test_a_jump_that_does_not_vary_ignores_what_others_did(run):
    async def testbench(d):
        varying, fixed = 0x8000_1206, 0x8000_5206
        await d.teach(fixed, BranchKind.CALL, 0x8000_7000)
        p = await d.look(fixed & -8)
        await d.teach(varying, BranchKind.JUMP, 0x8000_6000, varies=1, counter_index=p["index"])
        assert (await d.look(fixed & -8))["target"] == 0x8000_7000

    run(9, testbench)
