"""A component on the cycle engine, driven from Python one clock at a time."""

import ctypes
from pathlib import Path
from typing import Any

from sim.build import COMPILE_FLAGS, _run, compiler
from sim.engine import emit, netlist
from sim.engine.habits import Habits


class Native:
    """Compiles a component's logic. `threshold` is the engine's: small ones make many branches."""

    def __init__(self, component: Any, directory: Path, *, threshold: int, habits: Habits | None = None):
        model = netlist.read(netlist.elaborate(component))
        source = emit.emit(model, habits=habits, threshold=threshold, on_demand="o1")
        self.inputs, self.outputs = list(model.inputs), list(model.outputs)
        sets = "".join(f"case {n}: l.{name} = value; break;\n" for n, name in enumerate(self.inputs))
        gets = "".join(f"case {n}: return l.{name};\n" for n, name in enumerate(self.outputs))
        wrapper = f"""
            static Logic l;
            #define API extern "C" __attribute__((visibility("default")))
            API void start() {{ l.start(), l.settle(), l.look(); }}
            API void tick() {{ l.clock(), l.look(); }}
            API unsigned quiet() {{ return l.quiet; }}
            API void put(unsigned port, uint64_t value) {{ switch (port) {{ {sets} }} }}
            API uint64_t get(unsigned port) {{ switch (port) {{ {gets} }} return 0; }}
            """
        (directory / "logic.h").write_text(source.header)
        (directory / "logic.cpp").write_text(
            "".join([source.body, *(text.removeprefix(emit.PREAMBLE) for text in source.quiet), wrapper])
        )
        command = [*compiler("cc"), *COMPILE_FLAGS, "-O1", "-shared", "-o", "logic.so", "logic.cpp"]
        _run("compiling", command, directory)
        self._library = ctypes.CDLL(str(directory / "logic.so"))
        self._library.get.restype = ctypes.c_uint64
        self._library.put.argtypes = [ctypes.c_uint, ctypes.c_uint64]
        self._library.start()

    def tick(self, values: dict[str, int]) -> None:
        """Sets inputs, and lets the clock rise."""
        for name, value in values.items():
            if name in self.inputs:
                self._library.put(self.inputs.index(name), value)
        self._library.tick()

    @property
    def quiet(self) -> int:
        """The way that the cycle takes, 0 for the whole logic."""
        return self._library.quiet()

    def read(self) -> dict[str, int]:
        """All outputs."""
        return {name: self._library.get(number) for number, name in enumerate(self.outputs)}
