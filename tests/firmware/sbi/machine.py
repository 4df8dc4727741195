"""Builds the program, and starts machines with our firmware: QEMU from its reset vector or with chosen registers, and
the SoC.
"""

import os
import select
import subprocess
import tempfile
import time
from pathlib import Path

from kernel.lang import build
from sim.gdb import GdbClient, GdbError

HERE = Path(__file__).parent
FLAGS = ("-O1", "-Wall", "-Wextra", "-ffreestanding", "-fno-builtin", "-fno-sanitize=all", "-nostdlib", "-static")
PROGRAM_BASE = 0x8020_0000
SECONDS = 120
"""Until a machine that says nothing more is a failure: seconds even with many jobs beside it."""


def program() -> Path:
    """The raw image of program.c, to be started as a kernel."""
    sources = [HERE / name for name in ("start.S", "program.c", "link.ld")]
    flags = [*build.target("riscv64").flags, *FLAGS, "-fno-asynchronous-unwind-tables"]
    flags[flags.index("-mcpu=generic_rv64+m+a+c")] += "+zicsr"

    def make(output: Path) -> None:
        elf = output.with_suffix(".elf")
        script = f"-Wl,-T,{sources[2]}"
        build.run_zig(["cc", *flags, script, str(sources[0]), str(sources[1]), "-o", str(elf)])
        build.run_zig(["objcopy", "-O", "binary", str(elf), str(output)])

    return build.cached([*(s.read_bytes() for s in sources), " ".join(flags), build.compiler()[1]], ".bin", make)


def qemu(bios: Path, kernel: Path | None, *, cpu: str = "rv64", harts: int = 1, until: str = "") -> str:
    """QEMU's console until it ends, or says `until`."""
    with Qemu(bios, kernel, cpu=cpu, harts=harts) as machine:
        return machine.console(until)


class Qemu:
    """One QEMU. With `stopped`, it waits at reset for its registers and memory to be set through `gdb`."""

    def __init__(self, bios: Path, kernel: Path | None, *, cpu: str = "rv64", harts: int = 1, stopped: bool = False):
        command = ["qemu-system-riscv64", "-M", "virt", "-cpu", cpu, "-smp", str(harts), "-m", "128M"]
        command += ["-display", "none", "-monitor", "none", "-nodefaults", "-serial", "stdio", "-bios", str(bios)]
        command += ["-kernel", str(kernel)] if kernel else []
        self.directory = tempfile.TemporaryDirectory(prefix="splax-")
        socket = f"{self.directory.name}/gdb"
        if stopped:
            command += ["-S", "-chardev", f"socket,path={socket},server=on,wait=off,id=gdb", "-gdb", "chardev:gdb"]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        self.gdb = GdbClient(socket) if stopped else None
        self.said = bytearray()

    def __enter__(self) -> "Qemu":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()
        if self.gdb:
            self.gdb.close()
        self.directory.cleanup()

    def set_registers(self, **values: int) -> None:
        """Sets registers by name: pc, or x0..x31."""
        assert self.gdb
        self.gdb.command("qXfer:features:read:target.xml:0,ffb")  # QEMU takes P from clients that know its registers
        for name, value in values.items():
            number = 32 if name == "pc" else int(name[1:])
            assert self.gdb.command(f"P{number:x}={value.to_bytes(8, 'little').hex()}") == "OK"

    def run_to(self, address: int) -> None:
        """Runs until an instruction is about to be executed."""
        assert self.gdb
        assert self.gdb.command(f"Z1,{address:x},4") == "OK"
        self.gdb.go()
        assert self.gdb.receive(SECONDS), f"QEMU did not come to {address:#x}: {self.said.decode(errors='replace')}"
        assert self.gdb.command(f"z1,{address:x},4") == "OK"

    def go(self) -> None:
        """Continues, with nobody to stop for."""
        assert self.gdb
        self.gdb.go()

    def console(self, until: str = "") -> str:
        """What it says until it ends, or says `until`."""
        deadline = time.monotonic() + SECONDS
        assert self.process.stdout
        while not (until and until.encode() in self.said):
            if not select.select([self.process.stdout], [], [], max(0.0, deadline - time.monotonic()))[0]:
                raise AssertionError(f"QEMU went silent:\n{self.said.decode(errors='replace')}")
            data = os.read(self.process.stdout.fileno(), 1 << 16)
            if not data:
                break
            self.said += data
        return self.said.decode(errors="replace").replace("\r", "")


def soc(bios: Path, kernel: Path | None, cycles: int) -> tuple[str, int]:
    """The SoC's console until it ends, and its exit status."""
    from rtl.soc import SocConfig
    from sim.machine import Machine, Reason

    with Machine(SocConfig(ram_bytes=128 << 20)) as machine:
        machine.load_virt(bios=bios, kernel=kernel)
        outcome = machine.run(cycles=cycles)
        said = machine.console.output.decode(errors="replace").replace("\r", "")
        assert outcome.reason is not Reason.CYCLES, f"still running after {cycles} cycles, {machine.where()}:\n{said}"
        print(f"{machine.cycle} cycles")
        return said, outcome.status


__all__ = ["PROGRAM_BASE", "GdbError", "Qemu", "program", "qemu", "soc"]
