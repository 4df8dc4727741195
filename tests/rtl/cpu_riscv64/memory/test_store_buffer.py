"""The store buffer against a list."""

import random

from rtl.cpu_riscv64.config import CoreConfig
from rtl.cpu_riscv64.memory.store_buffer import StoreBuffer
from tests.rtl.periph.simulate import simulate

CONFIG = CoreConfig()
LINES = [0x2_0000_00 | n for n in (0, 1, 0x40, 0x41, 0x80)]  # line numbers: two sets, three pages


def drive(seed: int, cycles: int, *, check, events: float = 0.3) -> dict[str, int]:
    """Random pushes, pops, queries and line events; `check` names the outputs that are compared."""
    rng = random.Random(seed)
    print("seed", seed)
    dut = StoreBuffer(CONFIG)
    seen = dict.fromkeys(("full", "empty", "conflict", "after_write", "found", "lost"), 0)

    async def testbench(ctx):
        queue: list[dict] = []
        written: dict | None = None  # at the last clock edge
        eager = 0.5
        pushed = False  # at the last clock edge: counted, but not yet at the head
        for _ in range(cycles):
            if rng.random() < 0.05:
                eager = rng.choice((0.1, 0.5, 0.9))
            push = len(queue) < CONFIG.store_buffer and rng.random() < eager
            pop = len(queue) > pushed and rng.random() < 0.5
            address = rng.choice(LINES) << 6 | rng.randrange(64)
            store = {
                "address": address & -8,
                "data": rng.getrandbits(64),
                "mask": rng.choice((0xFF, 0x0F, 1 << rng.randrange(8))),
                "hit": rng.randrange(2),
                "way": rng.randrange(CONFIG.cache_ways),
            }
            ctx.set(dut.push, push)
            ctx.set(dut.pop, pop)
            ctx.set(dut.push_address, address)
            for name in ("data", "mask", "hit", "way"):
                ctx.set(getattr(dut, f"push_{name}"), store[name])
            line, way, event = rng.choice(LINES), rng.randrange(CONFIG.cache_ways), rng.random()
            found, lost = event < events / 2, events / 2 <= event < events
            ctx.set(dut.line, line)
            ctx.set(dut.line_way, way)
            ctx.set(dut.line_found, found)
            ctx.set(dut.line_lost, lost)
            query = rng.choice(LINES) << 6 | rng.randrange(64)
            mask = rng.choice((0xFF, 1 << rng.randrange(8)))
            ctx.set(dut.query_index, query >> 3 & 0x1FF)
            ctx.set(dut.query_mask, mask)

            suspects = [*queue, written] if written else queue
            # of what was just written, no byte of the doubleword may be used
            conflict = any(
                (s["address"] ^ query) >> 3 & 0x1FF == 0 and (s is written or bool(s["mask"] & mask)) for s in suspects
            )
            values = {
                "full": len(queue) == CONFIG.store_buffer,
                "empty": not suspects,
                "conflict": conflict,
                "head_valid": len(queue) > pushed,
            }
            if len(queue) > pushed:
                values.update({f"head_{name}": queue[0][name] for name in ("address", "data", "mask", "hit")})
                if queue[0]["hit"]:
                    values["head_way"] = queue[0]["way"]
            for name, value in values.items():
                if name.removeprefix("head_") in check or name in check:
                    assert ctx.get(getattr(dut, name)) == value, name
            seen["full"] += values["full"]
            seen["empty"] += values["empty"]
            seen["conflict"] += conflict
            seen["after_write"] += conflict and written is suspects[-1] and not push

            for s in queue:
                if found and s["address"] >> 6 == line:
                    s["hit"], s["way"] = 1, way
                    seen["found"] += 1
                elif lost and s["address"] >> 6 & 63 == line & 63 and s["hit"] and s["way"] == way:
                    s["hit"] = 0
                    seen["lost"] += 1
            written = queue.pop(0) if pop else None
            if push:
                queue.append(store)
            pushed = push
            await ctx.tick()

    simulate(dut, testbench)
    return seen


def test_stores_leave_in_order_with_their_data():
    seen = drive(1, 800, check=("valid", "address", "data", "mask"))
    assert seen["full"] > 20


def test_full_and_empty_count_the_cycle_after_the_last_write():
    seen = drive(2, 800, check=("full", "empty"))
    assert seen["full"] > 20 and seen["empty"] > 5


def test_a_load_conflicts_with_waiting_stores_and_with_the_one_just_written():
    seen = drive(3, 1500, check=("conflict",))
    assert seen["conflict"] > 50 and seen["after_write"] > 5


def test_a_store_learns_that_its_line_came_or_went():
    seen = drive(4, 1500, check=("hit", "way"))
    assert seen["found"] > 50 and seen["lost"] > 20
