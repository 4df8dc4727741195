"""A component on the cycle engine, driven from Python one clock at a time."""

import ctypes
from pathlib import Path
from typing import Any

from sim.build import COMPILE_FLAGS, _run, compiler
from sim.engine import emit, netlist


class Native:
    """Compiles a component's logic. `threshold` is the engine's: small ones make many branches."""

    def __init__(self, component: Any, directory: Path, *, threshold: int):
        model = netlist.read(netlist.elaborate(component))
        source = emit.emit(model, threshold=threshold, on_demand="o1")
        self.inputs, self.outputs = list(model.inputs), list(model.outputs)
        sets = "".join(f"case {n}: l.{name} = value; break;\n" for n, name in enumerate(self.inputs))
        gets = "".join(f"case {n}: return l.{name};\n" for n, name in enumerate(self.outputs))
        wrapper = f"""
            static Logic l;
            #define API extern "C" __attribute__((visibility("default")))
            API void start() {{ l.start(), l.settle(), l.look(); }}
            API void tick() {{ l.edge(); if (l.rst) l.reset_registers(); l.settle(), l.look(); }}
            API void put(unsigned port, uint64_t value) {{ switch (port) {{ {sets} }} }}
            API uint64_t get(unsigned port) {{ switch (port) {{ {gets} }} return 0; }}
            """
        (directory / "logic.h").write_text(source.header)
        (directory / "logic.cpp").write_text(source.body + wrapper)
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

    def read(self) -> dict[str, int]:
        """All outputs."""
        return {name: self._library.get(number) for number, name in enumerate(self.outputs)}
