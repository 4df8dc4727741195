"""Accesses on a register bus from an Amaranth testbench, as the bridge makes them."""

from typing import Any

TIMEOUT = 1000


class BusError(Exception):
    """The device refused the access."""


async def access(ctx: Any, bus: Any, *, write: bool, address: int, size: int, value: int = 0) -> int:
    """One access; leaves the bus idle after the cycle in which it was done."""
    lane = address % 8
    assert lane % size == 0, "the core makes aligned accesses only"
    ctx.set(bus.valid, 1)
    ctx.set(bus.write, write)
    ctx.set(bus.address, address - lane)
    ctx.set(bus.mask, ((1 << size) - 1) << lane)
    # Lanes that are not written may hold anything.
    garbage = 0xA5A5_5A5A_C3C3_3C3C
    bits = ((1 << 8 * size) - 1) << 8 * lane
    ctx.set(bus.write_data, (value << 8 * lane) & bits | garbage & ~bits & ((1 << 64) - 1))
    for _ in range(TIMEOUT):
        *_, done, data, error = await ctx.tick().sample(bus.done, bus.read_data, bus.error)
        if done:
            break
    else:
        raise TimeoutError(f"no answer at {address:#x} after {TIMEOUT} cycles")
    ctx.set(bus.valid, 0)
    ctx.set(bus.write, 0)
    ctx.set(bus.mask, 0)
    if error:
        raise BusError(f"{'write to' if write else 'read of'} {address:#x}, {size} bytes")
    return (data & bits) >> 8 * lane


async def read(ctx: Any, bus: Any, address: int, size: int = 4) -> int:
    return await access(ctx, bus, write=False, address=address, size=size)


async def write(ctx: Any, bus: Any, address: int, value: int, size: int = 4) -> None:
    await access(ctx, bus, write=True, address=address, size=size, value=value)


async def refused(ctx: Any, bus: Any, address: int, size: int, *, write: bool = False) -> bool:
    """Whether the device refuses the access."""
    try:
        await access(ctx, bus, write=write, address=address, size=size)
    except BusError:
        return True
    return False
