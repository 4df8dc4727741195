"""The device under test: the SoC in simulation, giving the instructions it retires."""

import ctypes
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

from rtl.soc import SocConfig
from sim.binding import Record, Stop
from sim.machine import Checkpoint, Machine, with_rvfi
from tests.lockstep import layout

RECORDS = 1 << 14
CYCLES_PER_INSTRUCTION = 60
"""More than any program needs on average; a device that stands still is found out sooner, by STALLED."""

STALLED = 20_000
"""Cycles without an instruction after which the device hangs."""


class Hang(RuntimeError):
    """The device stopped retiring instructions."""


@cache
def _fresh() -> tuple[Machine, Checkpoint]:
    config = replace(SocConfig(), ram_bytes=layout.RAM_SIZE, clock_hz=10_000_000)
    made = Machine(with_rvfi(config))
    return made, made.checkpoint()


def machine() -> Machine:
    """The SoC with its RVFI port, as if just made: what ran before leaves nothing behind, in predictors or caches.

    The clock is such that time passes slowly for the programs.
    """
    made, fresh = _fresh()
    made.restore(fresh)
    made.record(0)
    return made


def packed_records(elf: Path, *, most: int) -> Iterator[bytes]:
    """Runs an ELF file from reset; gives what retires, packed, until it ends or `most` instructions are over."""
    device = machine()
    device.load_elf(elf)
    device.record(RECORDS)
    taken, idle = 0, 0
    library, handle = device._library, device._handle
    size = ctypes.sizeof(Record)
    while taken < most:
        stop = device.step_native(STALLED)
        at = ctypes.POINTER(Record)()
        count = library.records_take(handle, ctypes.byref(at))
        if count:
            yield ctypes.string_at(at, count * size)
        taken += count
        if stop & (Stop.TOHOST | Stop.FINISH):
            return
        idle = 0 if count else idle + 1
        if idle > 1:
            raise Hang(f"no instruction for {idle * STALLED} cycles: {device.where()}")
    raise Hang(f"the program has not ended after {taken} instructions: {device.where()}")
