"""The test finisher (sifive,test1)."""

from typing import Any

import pytest

from rtl.periph.finisher import Finisher
from rtl.registers.sifive_test import Command
from tests.rtl.periph.register_access import read, refused, write
from tests.rtl.periph.simulate import simulate


@pytest.mark.parametrize(
    ("value", "size", "expected"),
    [
        (Command.PASS, 4, (0, 0)),
        (0x1234 << 16 | Command.PASS, 4, (0, 0)),
        (Command.PASS, 2, (0, 0)),
        (0x002A << 16 | Command.FAIL, 4, (42, 0)),
        (Command.FAIL, 2, (0, 0)),
        (Command.RESET, 4, (0, 1)),
        (0, 4, None),
        (0x5554, 4, None),
    ],
)
def test_a_command_comes_out_for_one_cycle(value: int, size: int, expected: tuple[int, int] | None) -> None:
    finisher = Finisher()
    seen = []

    async def watch(ctx: Any) -> None:
        finish = finisher.finish
        async for _, _, valid, code, reset in ctx.tick().sample(finish.valid, finish.code, finish.reset):
            if valid:
                seen.append((code, reset))

    async def testbench(ctx: Any) -> None:
        await write(ctx, finisher.bus, 0, value, size)
        await ctx.tick().repeat(3)

    simulate(finisher, testbench, watch)
    assert seen == ([] if expected is None else [expected])


def test_other_addresses_do_nothing_and_other_sizes_are_refused() -> None:
    finisher = Finisher()

    async def testbench(ctx: Any) -> None:
        for address in (2, 4, 0xFFC):
            ctx.set(finisher.bus.valid, 0)
            await write(ctx, finisher.bus, address & ~1, Command.PASS, 2)
            assert not ctx.get(finisher.finish.valid)
        assert await read(ctx, finisher.bus, 0) == 0
        for size in (1, 8):
            assert await refused(ctx, finisher.bus, 0, size, write=True)

    simulate(finisher, testbench)
