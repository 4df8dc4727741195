"""What the cocotb tests of the bus share."""

import random
from collections.abc import Iterator

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import RisingEdge
from cocotbext.axi import AxiMaster, AxiRam


async def reset(dut) -> None:
    """Starts the clock and resets the design."""
    cocotb.start_soon(Clock(dut.clk, 10, "ns").start())
    dut.rst.value = 1
    for _ in range(4):
        await RisingEdge(dut.clk)
    dut.rst.value = 0
    await RisingEdge(dut.clk)


def pauses(rng: random.Random, probability: float) -> Iterator[bool]:
    """Stalls a channel at random."""
    while True:
        yield rng.random() < probability


def stall(rng: random.Random, port: AxiMaster | AxiRam, probability: float) -> None:
    """Stalls every channel of a port at random."""
    for half, channels in (
        ("write_if", ("aw_channel", "w_channel", "b_channel")),
        ("read_if", ("ar_channel", "r_channel")),
    ):
        for channel in channels:
            if hasattr(port, half):
                getattr(getattr(port, half), channel).set_pause_generator(pauses(rng, probability))
