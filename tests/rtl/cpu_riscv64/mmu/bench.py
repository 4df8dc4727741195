"""One simulator for many short tests: elaborating the hardware takes longer than most of them."""

from collections.abc import Callable

from amaranth.hdl import Elaboratable
from amaranth.sim import Simulator


class SharedSimulator:
    """Runs testbenches, each from the initial state. Their argument is whatever `run` was given.

    Parameters
    ----------
    top : Elaboratable
        The hardware.
    background : async functions of (simulator context, argument)
        Run beside the testbench.
    """

    def __init__(self, top: Elaboratable, *background: Callable):
        self._simulator = Simulator(top)
        self._simulator.add_clock(1e-6)
        self._used = False
        self._testbench: Callable | None = None
        self._argument: object = None

        async def foreground(ctx):
            await self._testbench(ctx, self._argument)

        self._simulator.add_testbench(foreground)
        for function in background:

            async def beside(ctx, function=function):
                await function(ctx, self._argument)

            self._simulator.add_testbench(beside, background=True)

    def run(self, testbench: Callable, argument: object) -> None:
        """Run `testbench(ctx, argument)` to its end."""
        if self._used:
            self._simulator.reset()
        self._used = True
        self._testbench, self._argument = testbench, argument
        self._simulator.run()
