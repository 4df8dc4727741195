"""The fetch buffer against a Python model of the instruction stream.

A test is a list of blocks with their predictions and faults, as the front end would deliver them from one redirect on;
the model walks over their halfwords.
"""

import random
from typing import Any

import pytest

from rtl.cpu_riscv64.config import CoreConfig
from rtl.cpu_riscv64.fetch.buffer import FetchBuffer
from tests.rtl.cpu_riscv64.mmu.bench import SharedSimulator

U64 = (1 << 64) - 1
CONFIG = CoreConfig()


def random_blocks(
    rng: random.Random, count: int, *, wide: float, taken: float, tear: float, fault: float
) -> list[dict]:
    """Blocks from a random address on. A prediction ends an instruction, but with probability `tear` cuts one."""
    pc = rng.choice((0x8000_0000, 0xFFFF_FFC0_0000_0000)) + 2 * rng.randrange(1 << 20)
    blocks = []
    start, covered = pc, False  # where fetch begins; whether its first halfword is the end of an instruction
    for _ in range(count):
        halfwords = [0] * 4
        ends = []  # positions that end an instruction
        position = (start & 7) >> 1
        for i in range(position):
            halfwords[i] = rng.getrandbits(16)
        while position < 4:
            if covered:
                halfwords[position] = rng.getrandbits(16)
                ends.append(position)
                covered = False
            elif rng.random() < wide:
                halfwords[position] = rng.getrandbits(16) | 3
                covered = True
            else:
                halfwords[position] = rng.getrandbits(14) << 2 | rng.randrange(3)
                ends.append(position)
            position += 1
        first = (start & 7) >> 1
        goes = rng.random() < taken
        last = 3
        if goes:
            last = rng.choice(ends) if ends and rng.random() >= tear else rng.randrange(first, 4)
        known = rng.sample(range(4), 2)  # no position twice: the predictor's ways differ
        if goes and last not in known:
            known[rng.randrange(2)] = last
        kind = rng.choice(("all", "upper")) if rng.random() < fault else ""
        target = rng.choice((0x8000_0000, 0xFFFF_FFC0_0000_0000)) + 2 * rng.randrange(1 << 20) & U64
        blocks.append(
            {
                "start": start,
                "bytes": sum(h << 16 * i for i, h in enumerate(halfwords)),
                "fault": kind,
                "page": kind == "all" and rng.randrange(2),
                "taken": goes and kind != "all",
                "last": last,
                "known": 3 if kind != "all" else 0,
                "offset": known,
                "counters": [rng.randrange(4) for _ in range(4)],
                "index": rng.getrandbits(CONFIG.history_bits),
                "history": rng.getrandbits(CONFIG.history_bits),
                "ras_top": rng.randrange(CONFIG.ras_entries),
                "target": target,
            }
        )
        if kind == "all":
            break
        if blocks[-1]["taken"]:
            if last not in ends:
                break
            start, covered = target, False
        else:
            start = (start & -8) + 8 & U64
    return blocks


def model(blocks: list[dict]) -> list[dict]:
    """The instructions that decode is to see, up to the first fault or torn one, or to where blocks end."""
    result = []
    number, pc = 0, blocks[0]["start"]
    while number < len(blocks):
        block = blocks[number]
        position = pc >> 1 & 3
        halfword = block["bytes"] >> 16 * position & 0xFFFF
        expected: dict[str, Any] = {"pc": pc}
        if block["fault"] == "all" or (block["fault"] == "upper" and position >= 2):
            result.append({**expected, "fault": 1, "page": block["page"], "second": 0})
            return result
        compressed = halfword & 3 != 3
        if block["taken"] and block["last"] == position and not compressed:
            way = int(block["offset"][0] != position)
            known_way = way if block["offset"][way] == position else None
            result.append({**expected, "fault": 0, "torn": 1, "taken": 0, "known": 1, "way": known_way})
            return result
        end_block, end = block, position
        raw = halfword
        if not compressed:
            if position == 3:
                number += 1
                if number == len(blocks):
                    return result
                end_block = blocks[number]
                end = 0
                fault = end_block["fault"] == "all"
            else:
                end = position + 1
                fault = block["fault"] == "upper" and end == 2
            if fault:
                page = end_block["page"] if position == 3 else 0
                result.append({**expected, "fault": 1, "page": page, "second": 1, "torn": 0})
                return result
            raw |= (end_block["bytes"] >> 16 * end & 0xFFFF) << 16
        taken = end_block["taken"] and end_block["last"] == end
        next_pc = pc + (2 if compressed else 4) & U64
        known = [end_block["known"] >> way & 1 and end_block["offset"][way] == end for way in range(2)]
        expected |= {
            "fault": 0,
            "torn": 0,
            "raw": raw,
            "next_pc": next_pc,
            "taken": int(taken),
            "known": int(any(known)),
            "way": int(known[1]) if any(known) else None,
            "counter": end_block["counters"][end],
            "index": end_block["index"],
            "history": end_block["history"],
            "ras_top": end_block["ras_top"],
        }
        if taken:
            expected["target"] = end_block["target"]
        result.append(expected)
        pc = end_block["target"] if taken else next_pc
        if taken or end == 3:
            number += 1
    return result


@pytest.fixture(scope="module")
def deliver():
    dut = FetchBuffer(CONFIG)
    simulator = SharedSimulator(dut)

    def deliver(seed: int, count: int, **options: float) -> dict[str, int]:
        """`count` redirects, each followed by some blocks; what the model saw, counted."""
        print("seed", seed)
        rng = random.Random(seed)
        seen = dict.fromkeys(("instructions", "taken", "torn", "fault", "second", "straddling", "full"), 0)

        async def testbench(ctx, _):
            out = dut.instruction
            for _ in range(count):
                blocks = random_blocks(rng, rng.randint(1, 12), **options)
                wanted = model(blocks)
                give, take = rng.choice((0.3, 0.7, 1)), rng.choice((0.3, 0.7, 1))
                ctx.set(dut.redirect, 1)
                ctx.set(dut.redirect_pc, blocks[0]["start"])
                ctx.set(out.consume, 0)
                ctx.set(dut.block.valid, 0)
                await ctx.tick()
                ctx.set(dut.redirect, 0)
                pushed = waited = 0
                # sometimes the next redirect comes early
                keep = rng.choice((0, 0, rng.randint(0, len(wanted))))
                while len(wanted) > keep:
                    waited += 1
                    assert waited < 100, f"nothing comes, expected {wanted[0]}"
                    ready = ctx.get(dut.ready)
                    seen["full"] += not ready
                    push = pushed < len(blocks) and ready and rng.random() < give
                    if push:
                        block = blocks[pushed]
                        pushed += 1
                        fault = {"valid": block["fault"] == "all", "page": block["page"]}
                        ctx.set(dut.block.bytes, block["bytes"])
                        ctx.set(dut.block.fault, {**fault, "upper": block["fault"] == "upper"})
                        names = ("taken", "last", "known", "offset", "counters", "index", "history", "ras_top")
                        ctx.set(dut.block.prediction, {name: block[name] for name in names})
                        ctx.set(dut.block.target, {"bits": block["target"] >> 1 & (1 << 38) - 1})
                    ctx.set(dut.block.valid, push)
                    consume = 0
                    if ctx.get(out.valid) and rng.random() < take:
                        compare(ctx, out, wanted[0], seen)
                        wanted.pop(0)
                        consume, waited = 1, 0
                    ctx.set(out.consume, consume)
                    await ctx.tick()
                ctx.set(out.consume, 0)

        simulator.run(testbench, None)
        print(seen)
        return seen

    return deliver


def compare(ctx: Any, out: Any, wanted: dict, seen: dict[str, int]) -> None:
    got = {
        "pc": out.pc,
        "next_pc": out.next_pc,
        "fault": out.fault.valid,
        "page": out.fault.page,
        "second": out.fault_in_second_half,
        "torn": out.torn,
        "taken": out.taken,
        "known": out.known,
        "way": out.way,
        "counter": out.counter,
        "index": out.index,
        "history": out.history,
        "ras_top": out.ras_top,
    }
    for name, signal in got.items():
        if wanted.get(name) is not None:
            assert ctx.get(signal) == wanted[name], f"{name} is {ctx.get(signal):#x}, expected {wanted}"
    if "raw" in wanted:
        mask = 0xFFFF_FFFF if wanted["raw"] & 3 == 3 else 0xFFFF
        assert ctx.get(out.raw) & mask == wanted["raw"], f"raw is {ctx.get(out.raw):#x}, expected {wanted}"
        seen["instructions"] += 1
        seen["straddling"] += mask > 0xFFFF and wanted["pc"] & 6 == 6
    if "target" in wanted:
        assert ctx.get(out.target.address()) == wanted["target"]
    for name in ("taken", "torn", "fault", "second"):
        seen[name] += wanted.get(name, 0)


def test_instructions_of_both_lengths_leave_in_order_and_whole(deliver):
    seen = deliver(1, 40, wide=0.5, taken=0, tear=0, fault=0)
    assert seen["instructions"] > 200 and seen["straddling"] > 20 and seen["full"] > 20


def test_a_predicted_branch_at_any_offset_is_followed_by_its_target(deliver):
    seen = deliver(2, 60, wide=0.5, taken=0.5, tear=0, fault=0)
    assert seen["taken"] > 50 and seen["straddling"] > 20


def test_a_prediction_that_cuts_an_instruction_is_reported_with_its_entry(deliver):
    seen = deliver(3, 80, wide=0.7, taken=0.4, tear=0.7, fault=0)
    assert seen["torn"] > 10


def test_faults_of_blocks_and_of_their_upper_halves_meet_the_right_instruction(deliver):
    seen = deliver(4, 120, wide=0.6, taken=0, tear=0, fault=0.4)
    assert seen["fault"] > 30 and seen["second"] > 5


def test_a_block_that_is_faulty_is_never_torn_as_well(deliver):
    """Nobody would repair the entry: a fault is not taught, and a torn instruction is fetched again."""
    seen = deliver(5, 150, wide=0.6, taken=0.5, tear=0.7, fault=0.5)
    assert seen["fault"] > 30 and seen["torn"] > 5
