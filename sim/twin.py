"""The functional twin: `qemu-system-riscv64 -M virt`, with a core that has what ours has.

Options that QEMU lacks are done from outside: the console passes through here, so that its text can end the run, and a
bare-metal program's `tohost` is watched through the debugger's port, with the answers that sim/htif.py gives.
"""

import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from rtl.soc import SocConfig

from .elf import Elf, Symbols, read_elf
from .errors import MissingTool
from .gdb import GdbClient, GdbError
from .htif import CONSOLE_PUT, SYS_EXIT, SYS_WRITE
from .terminal import Left, Terminal

FINISHER = 0x10_0000

CPU_OFF = ("f", "d", "h", "v", "zbc")
CPU_ON = ("zba", "zbb", "zbs", "sstc")


def program() -> str:
    """QEMU's path."""
    found = shutil.which("qemu-system-riscv64")
    if found is None:
        raise MissingTool("qemu-system-riscv64 is not installed", "apt-get install qemu-system-misc")
    return found


def cpu_option(config: SocConfig) -> str:
    """-cpu: switches off what our core lacks, on what it has."""
    off = ",".join(f"{name}=false" for name in CPU_OFF)
    on = ",".join(f"{name}=true" for name in CPU_ON)
    return f"rv64,{off},{on},pmu-num={config.core.hpm_counters}"


def debugger_options(address: str | None) -> list[str]:
    """QEMU's options to wait for a debugger at a port of this machine, or at the path of a socket."""
    if address is None:
        return []
    place = f"host=127.0.0.1,port={address}" if address.isdigit() else f"path={address}"
    return ["-S", "-chardev", f"socket,{place},server=on,wait=off,id=gdb", "-gdb", "chardev:gdb"]


@dataclass
class Twin:
    """One run of QEMU.

    bios, kernel, initrd, append   as QEMU's own options
    elf                            bare-metal program instead
    debugger                       a port or socket where it waits for gdb before it starts
    """

    config: SocConfig
    bios: str = "default"
    kernel: Path | None = None
    initrd: Path | None = None
    append: str = ""
    elf: Path | None = None
    until: str | None = None
    timeout: float | None = None
    debugger: str | None = None
    ended_by: str = ""
    program: Elf | None = None
    signature: bytes | None = None
    wants_signature: bool = False
    _seen: bytearray = field(default_factory=bytearray)

    def check(self) -> None:
        """Refuses a run for which something is missing."""
        program()

    def command(self, gdb: str | None = None) -> list[str]:
        """QEMU's command line."""
        config = self.config
        command = [program(), "-M", "virt", "-cpu", cpu_option(config), "-m", f"{config.ram_bytes >> 10}K"]
        command += ["-display", "none", "-monitor", "none", "-parallel", "none", "-nodefaults", "-serial", "stdio"]
        if self.elf:
            command += ["-bios", str(self.elf)]
            start = self.program.entry if self.program else 0
            command += ["-device", f"loader,addr={start:#x},cpu-num=0"] if start != 0x8000_0000 else []
        else:
            command += ["-bios", self.bios]
            for option, value in (("-kernel", self.kernel), ("-initrd", self.initrd), ("-append", self.append)):
                command += [option, str(value)] if value else []
        return command + debugger_options(gdb or self.debugger)

    def run(self) -> int:
        """Runs to the end; gives the exit status."""
        symbols = Symbols()
        if self.elf:
            self.program = read_elf(self.elf)
            symbols = self.program.symbols
        watched = [name for name in ("tohost",) if name in symbols.addresses and self.debugger is None]
        with tempfile.TemporaryDirectory(prefix="splax-") as directory:
            socket = f"{directory}/gdb" if watched or self.wants_signature else None
            process = subprocess.Popen(
                self.command(socket), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0
            )
            try:
                gdb = GdbClient(socket) if socket else None
                return self._serve(process, gdb)
            except GdbError:
                return self._ended(process)
            finally:
                if process.poll() is None:
                    process.kill()
                process.wait()
                for stream in (process.stdin, process.stdout, process.stderr):
                    if stream:
                        stream.close()

    def _ended(self, process: subprocess.Popen[bytes]) -> int:
        status = process.wait()
        message = process.stderr.read().decode(errors="replace").strip() if process.stderr else ""
        if message:
            print(message, file=sys.stderr)
        self.ended_by = self.ended_by or "finish"
        return status if status >= 0 else 128 - status

    def _serve(self, process: subprocess.Popen[bytes], gdb: GdbClient | None) -> int:
        deadline = None if self.timeout is None else time.monotonic() + self.timeout
        if gdb:
            self._start_watched(gdb)
        assert process.stdout and process.stdin
        output, typed = process.stdout.fileno(), process.stdin.fileno()
        os.set_blocking(output, False)
        pending = b""
        with Terminal() as terminal:
            try:
                pending = terminal.first_input()
                while True:
                    pending += terminal.typed()
                    select.select([output], [typed] if pending else [], [], 0.02)
                    if pending and select.select([], [typed], [], 0)[1]:
                        pending = pending[os.write(typed, pending[:4096]) :]
                    if self._pass_on(output, terminal):
                        self.ended_by = "text"
                        return 0
                    if gdb and (status := self._host(gdb, terminal)) is not None:
                        self._pass_on(output, terminal)
                        return status
                    if process.poll() is not None:
                        self._pass_on(output, terminal)
                        return self._ended(process)
                    if deadline is not None and time.monotonic() >= deadline:
                        self.ended_by = "time"
                        self._where(gdb)
                        return 124
            except BrokenPipeError:
                return self._ended(process)
            except Left as left:
                self.ended_by = "interrupted"
                return left.status
            except KeyboardInterrupt:
                self.ended_by = "interrupted"
                return 130

    def _pass_on(self, output: int, terminal: Terminal) -> bool:
        """Shows what the console printed; true when the text to stop at is there."""
        try:
            data = os.read(output, 1 << 16)
        except BlockingIOError:
            return False
        if self.until:
            wanted = self.until.encode()
            self._seen += data
            at = self._seen.find(wanted)
            if at >= 0:
                terminal.write(data[: len(data) - (len(self._seen) - at - len(wanted))])
                return True
            del self._seen[: max(0, len(self._seen) - len(wanted) + 1)]
        terminal.write(data)
        return False

    # --- bare-metal programs -----------------------------------------------------------------------------------------

    def _start_watched(self, gdb: GdbClient) -> None:
        assert self.program
        addresses = self.program.symbols.addresses
        if "tohost" in addresses:
            gdb.watch(addresses["tohost"], 8)
        gdb.watch(FINISHER, 4)
        gdb.go()

    def _host(self, gdb: GdbClient, terminal: Terminal) -> int | None:
        """Serves a stop of the machine, if there is one; gives the exit status if it ends the run."""
        if gdb.receive(0) is None:
            return None
        assert self.program
        self._keep_signature(gdb)
        gdb.finish_write()  # of the finisher: QEMU ends here
        addresses = self.program.symbols.addresses
        tohost, fromhost = addresses.get("tohost", 0), addresses.get("fromhost")
        request = int.from_bytes(gdb.read_memory(tohost, 8), "little") if tohost else 0
        self._keep_signature(gdb)
        status: int | None = None
        if request >> 48 == CONSOLE_PUT:
            terminal.write(bytes([request & 0xFF]))
            self._answer(gdb, tohost, fromhost, CONSOLE_PUT << 48)
        elif request & 1:
            status = request >> 1
        elif request:
            number, *arguments = (int.from_bytes(gdb.read_memory(request + n, 8), "little") for n in range(0, 32, 8))
            if number == SYS_EXIT:
                status = arguments[0]
            else:
                if number == SYS_WRITE:
                    terminal.write(gdb.read_memory(arguments[1], arguments[2]))
                gdb.write_memory(
                    request, (arguments[2] if number == SYS_WRITE else (1 << 64) - 38).to_bytes(8, "little")
                )
                self._answer(gdb, tohost, fromhost, 1)
        if status is not None:
            self.ended_by = "tohost"
            return status & 0xFF or (1 if status else 0)
        gdb.go()
        return None

    def _answer(self, gdb: GdbClient, tohost: int, fromhost: int | None, signal: int) -> None:
        gdb.write_memory(tohost, bytes(8))
        if fromhost is not None:
            gdb.write_memory(fromhost, signal.to_bytes(8, "little"))

    def _keep_signature(self, gdb: GdbClient) -> None:
        if self.wants_signature and self.program:
            begin, end = (self.program.symbols.addresses[name] for name in ("begin_signature", "end_signature"))
            self.signature = gdb.read_memory(begin, end - begin)

    def _where(self, gdb: GdbClient | None) -> None:
        place = ""
        if gdb:
            gdb.interrupt()
            gdb.receive(5.0)
            self._keep_signature(gdb)
            pc = gdb.registers()[32]
            name = self.program.symbols.name(pc) if self.program else ""
            place = f" at pc {pc:#x}{f' ({name})' if name else ''}"
        print(f"splax: time limit reached{place}", file=sys.stderr)
