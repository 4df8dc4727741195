"""Puts vectors through a combinational component: thousands a second, because all inputs change in one step."""

from collections.abc import Iterable, Iterator
from typing import Any

from amaranth.hdl import Module, Signal, Value
from amaranth.lib import wiring
from amaranth.sim import Simulator


def evaluate(component: wiring.Component, inputs: Iterable[dict[str, int]], outputs: list[str]) -> Iterator[Any]:
    """For each vector (a value for every input, by name) the outputs, as integers in the order asked for."""
    names = [name for name, member in component.signature.members.items() if member.flow is wiring.In]
    widths = [len(Value.cast(getattr(component, name))) for name in names]
    packed = Signal(sum(widths))
    m = Module()
    m.submodules.component = component
    offset = 0
    for name, width in zip(names, widths, strict=True):
        m.d.comb += Value.cast(getattr(component, name)).eq(packed[offset : offset + width])
        offset += width
    signals = [Value.cast(getattr(component, name)) for name in outputs]
    results: list[tuple[int, ...]] = []

    async def testbench(ctx: Any) -> None:
        for vector in inputs:
            value = offset = 0
            for name, width in zip(names, widths, strict=True):
                value |= int(vector[name]) << offset
                offset += width
            ctx.set(packed, value)
            results.append(tuple(ctx.get(signal) for signal in signals))

    simulator = Simulator(m)
    simulator.add_testbench(testbench)
    simulator.run()
    return iter(results)
