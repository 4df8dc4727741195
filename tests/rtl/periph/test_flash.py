"""The empty, locked boot flash, judged by QEMU's pflash."""

import random
from typing import Any

from rtl import memory_map
from rtl.periph.flash import Flash
from tests.rtl.periph.qemu_device import QemuDevices
from tests.rtl.periph.register_access import read, write
from tests.rtl.periph.simulate import simulate

BASE = memory_map.FLASH.base
BANK = memory_map.FLASH.size // 2
RESET, QUERY, IDENTIFY, STATUS, CLEAR_STATUS, ERASE, PROGRAM, CONFIRM = 0xFF, 0x98, 0x90, 0x70, 0x50, 0x20, 0x40, 0xD0


def test_query_and_identity_match_qemu_in_every_access_size() -> None:
    flash = Flash()

    with QemuDevices() as qemu:

        async def testbench(ctx: Any) -> None:
            for command in (QUERY, IDENTIFY):
                for bank in (0, BANK):
                    for value in (RESET, command):
                        qemu.write(BASE + bank + 0x154, value, 4)
                        await write(ctx, flash.bus, bank + 0x154, value)
                    for size in (4, 1, 2, 8):
                        for offset in [*range(0, 0x120, size), 0x1000, BANK - 8]:
                            ours = await read(ctx, flash.bus, bank + offset, size)
                            theirs = qemu.read(BASE + bank + offset, size)
                            assert ours == theirs, f"{command:#x} at {offset:#x}, {size} bytes: QEMU reads {theirs:#x}"

        simulate(flash, testbench)


def test_random_commands_that_change_nothing_match_qemu() -> None:
    seed = 3
    print(f"seed {seed}")
    rng = random.Random(seed)
    flash = Flash()
    commands = (RESET, RESET, 0xF0, 0x00, QUERY, IDENTIFY, STATUS, CLEAR_STATUS, 0x42)

    with QemuDevices() as qemu:

        async def testbench(ctx: Any) -> None:
            log = []
            for _ in range(300):
                command, bank, size = rng.choice(commands), rng.choice((0, BANK)), rng.choice((1, 2, 4))
                log.append(f"{command:#x}")
                qemu.write(BASE + bank, command, size)
                await write(ctx, flash.bus, bank, command, size)
                for offset in (0, 4, 0x40):
                    ours, theirs = await read(ctx, flash.bus, bank + offset), qemu.read(BASE + bank + offset, 4)
                    assert ours == theirs, f"QEMU reads {theirs:#x}, we {ours:#x}, after {log[-8:]}"

        simulate(flash, testbench)


def test_program_and_erase_end_with_the_error_of_a_locked_block() -> None:
    flash = Flash()

    async def testbench(ctx: Any) -> None:
        for command, second in ((ERASE, CONFIRM), (PROGRAM, 0x1234_5678)):
            await write(ctx, flash.bus, 0x4_0000, command)
            assert await read(ctx, flash.bus, 0x4_0000) == 0x0080_0080
            await write(ctx, flash.bus, 0x4_0000, second)
            status = await read(ctx, flash.bus, 0x4_0000)
            assert status & 0x00FF == status >> 16
            assert status & 0x80 and status & 0x30 and status & 0x02
            await write(ctx, flash.bus, 0x4_0000, RESET)
            assert await read(ctx, flash.bus, 0x4_0000) == 0

    simulate(flash, testbench)
