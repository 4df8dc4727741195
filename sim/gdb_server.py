"""A stub for gdb on the simulated SoC: `splax run --gdb`. The machine stands still while gdb looks.

The remote protocol (gdb manual, appendix E), as much as gdb needs for one hart: registers and CSRs, memory as the
hart's own translation shows it (Sv39, Privileged 4.4), breakpoints by address, step, continue, interrupt. Stops are
exact: the instruction at pc has not been executed, the one before it has. A step ends at whatever comes next, a trap
handler's first instruction too. Registers are not written: the instructions behind pc have read theirs already. Neither
is memory: what caches hold would not follow.
"""

import os
import select
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING
from xml.sax.saxutils import quoteattr

from rtl import memory_map
from rtl.cpu_riscv64.csr import csr_table

from .errors import InputError, SplaxError

if TYPE_CHECKING:
    from .machine import Machine, Outcome

PACKET = 0x1000
STEP_CYCLES = 1_000_000
"""Without an instruction in so many cycles, a step ends where it is (a wfi)."""

PC = 32
PRIVILEGE = PC + 1
CSRS = 64
"""gdb's number of the first CSR; ours to choose, as the target's description names them."""

MRET, SRET = bytes.fromhex("73002030"), bytes.fromhex("73002010")
PTE_VALID, PTE_READ, PTE_WRITE, PTE_EXECUTE = 1, 2, 4, 8
PTE_LEAF = PTE_READ | PTE_WRITE | PTE_EXECUTE
SV39_BITS = 39


def listen(address: str) -> socket.socket:
    """A listening socket: a TCP port of this machine, or the path of a Unix socket."""
    try:
        if address.isdigit():
            server = socket.socket(socket.AF_INET)
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            server.bind(("127.0.0.1", int(address)))
        else:
            server = socket.socket(socket.AF_UNIX)
            if os.path.exists(address):
                os.unlink(address)
            server.bind(address)
    except (OSError, OverflowError) as error:
        raise InputError(f"--gdb {address}: {error}", "name a free port, or a path for a socket") from error
    server.listen(1)
    return server


class Killed(Exception):
    """gdb asked for the machine's end."""


class Csrs:
    """The CSRs that gdb sees: what the core shows, the supervisor's views of it, constants, the time."""

    def __init__(self, machine: "Machine"):
        self.machine = machine
        self._table = {csr.name: csr for csr in csr_table(machine.config.core) if csr.count == 1}
        self.names = [name for name in self._table if self._known(name)]

    def _known(self, name: str) -> bool:
        if name in ("sstatus", "sie", "sip", "time") or self._table[name].read_only:
            return True
        return self.machine.has(f"csr_{name}")

    def value(self, name: str) -> int:
        """What a read by the machine's software would give."""
        peek = self.machine.peek
        match name:
            case "sstatus":
                return peek("csr_mstatus") & sum(field.mask for field in self._table[name].fields)
            case "sie" | "sip":
                return peek(f"csr_m{name[1:]}") & peek("csr_mideleg")
            case "time":
                return self.machine.status.mtime
        return self._table[name].reset if self._table[name].read_only else peek(f"csr_{name}")


class GdbServer:
    """Serves one gdb from its connection to the end of the machine.

    Parameters
    ----------
    machine : Machine
    server : socket
        See `listen`.
    each_slice
        Called about 50 times a second while the machine runs, with what the console printed.
    """

    def __init__(self, machine: "Machine", server: socket.socket, each_slice: Callable[[bytes], None]):
        self.machine, self.each_slice = machine, each_slice
        self.csrs = Csrs(machine)
        self.outcome: Outcome | None = None
        self._to_instruction()
        self.connection, _ = server.accept()
        server.close()
        self.breakpoints: set[int] = set()
        self.buffer = b""

    def serve(self) -> "Outcome | None":
        """Answers until the machine ends (its outcome) or gdb leaves (None: it runs on alone).

        Raises Killed when gdb kills the machine.
        """
        with self.connection:
            try:
                while self.outcome is None:
                    packet = self._receive()
                    if packet is None or packet.startswith("D"):
                        if packet is not None:
                            self._send("OK")
                        return None
                    if packet.startswith("k"):
                        raise Killed
                    self._send(self._answer(packet))
                self._hear_out()
            except (BrokenPipeError, ConnectionResetError):
                pass  # gdb left without a word
        return self.outcome

    def _hear_out(self) -> None:
        """Lets gdb acknowledge the last answer: it takes a connection that closes too early for an error."""
        self.connection.settimeout(1)
        try:
            while not self.buffer.endswith(b"+") and (data := self.connection.recv(PACKET)):
                self.buffer += data
        except OSError:
            pass

    # --- packets -----------------------------------------------------------------------------------------------------

    def _send(self, text: str) -> None:
        self.connection.sendall(f"${text}#{sum(text.encode()) & 0xFF:02x}".encode())

    def _tell(self, text: str) -> None:
        """Prints a line in gdb, while it waits for the machine to stop."""
        self._send("O" + f"splax: {text}\n".encode().hex())

    def _receive(self) -> str | None:
        """The next packet; None when gdb has gone."""
        while True:
            start = self.buffer.find(b"$")
            end = self.buffer.find(b"#", start)
            if 0 <= start < end and len(self.buffer) >= end + 3:
                packet = self.buffer[start + 1 : end].decode("latin-1")
                self.buffer = self.buffer[end + 3 :]
                with suppress(OSError):  # what it said last counts, even if it has gone
                    self.connection.sendall(b"+")
                return packet
            try:
                data = self.connection.recv(PACKET)
            except OSError:
                return None
            if not data:
                return None
            self.buffer += data

    def _interrupted(self) -> bool:
        """Whether gdb asked for a stop (Ctrl-C), or has gone."""
        gone = False
        if select.select([self.connection], [], [], 0)[0]:
            try:
                data = self.connection.recv(PACKET)
            except ConnectionResetError:
                data = b""
            self.buffer += data
            gone = not data
        asked = b"\x03" in self.buffer
        self.buffer = self.buffer.replace(b"\x03", b"")
        return asked or gone

    def _answer(self, packet: str) -> str:
        letter, rest = packet[:1], packet[1:]
        try:
            match letter:
                case "?":
                    return "S05"
                case "g":
                    values = [*self._integers(), self.machine.status.pc]
                    return "".join(value.to_bytes(8, "little").hex() for value in values)
                case "p":
                    return self._register(int(rest, 16))
                case "m":
                    address, _, length = rest.partition(",")
                    return self.read(int(address, 16), min(int(length, 16), PACKET // 2)).hex()
                case "M" | "X":
                    return "E.memory cannot be set: what caches hold would not follow"
                case "G" | "P":
                    return "E.registers cannot be set: instructions behind pc have read theirs already"
                case "Z" | "z" if rest[:1] in ("0", "1"):
                    address = int(rest.split(",")[1], 16)
                    (self.breakpoints.add if letter == "Z" else self.breakpoints.discard)(address)
                    return "OK"
                case "v" if packet == "vCont?":
                    return "vCont;c;C;s;S"
                case "v" if packet.startswith("vCont;"):
                    return self._step() if packet[6] in "sS" else self._continue()
                case "H" | "T":
                    return "OK"
                case "q":
                    return self._query(packet)
        except SplaxError as error:
            return "E01" if letter == "m" else f"E.{error}"  # gdb wants a number where data may come
        except (ValueError, IndexError):
            return "E01"
        return ""

    def _query(self, packet: str) -> str:
        if packet.startswith("qSupported"):
            return f"PacketSize={PACKET:x};qXfer:features:read+;vContSupported+"
        if packet.startswith("qXfer:features:read:target.xml:"):
            start, _, length = packet.rpartition(":")[2].partition(",")
            part = self._description()[int(start, 16) :]
            return ("l" if len(part) <= int(length, 16) else "m") + part[: int(length, 16)]
        if packet.startswith("qRcmd,"):
            machine = self.machine
            said = f"cycle {machine.cycle}, {machine.status.instructions} instructions retired, {machine.where()}\n"
            return said.encode().hex()
        return {"qAttached": "1", "qC": "QC1", "qfThreadInfo": "m1", "qsThreadInfo": "l"}.get(packet, "")

    def _description(self) -> str:
        """The target's description (gdb manual, appendix G): the names and numbers of its registers."""
        from .disassembler import REGISTERS

        def register(name: str, number: int, kind: str = "int") -> str:
            return f'<reg name={quoteattr(name)} bitsize="64" type="{kind}" regnum="{number}"/>'

        integers = "".join(register(name, number) for number, name in enumerate(REGISTERS))
        csrs = "".join(register(name, CSRS + number) for number, name in enumerate(self.csrs.names))
        return (
            '<?xml version="1.0"?><!DOCTYPE target SYSTEM "gdb-target.dtd"><target>'
            "<architecture>riscv:rv64</architecture>"
            f'<feature name="org.gnu.gdb.riscv.cpu">{integers}{register("pc", PC, "code_ptr")}</feature>'
            f'<feature name="org.gnu.gdb.riscv.virtual">{register("priv", PRIVILEGE)}</feature>'
            f'<feature name="org.gnu.gdb.riscv.csr">{csrs}</feature></target>'
        )

    # --- the machine -------------------------------------------------------------------------------------------------

    def _register(self, number: int) -> str:
        if number >= CSRS:
            value = self.csrs.value(self.csrs.names[number - CSRS])
        elif number == PRIVILEGE:
            value = self.machine.status.privilege
        elif number == PC:
            value = self.machine.status.pc
        else:
            value = self._integers()[number]
        return value.to_bytes(8, "little").hex()

    def _integers(self) -> list[int]:
        """x0..x31."""
        return [0, *[*self.machine.registers().values()][1:]]

    def read(self, address: int, length: int) -> bytes:
        """Memory at virtual addresses; fewer bytes where the rest is not there."""
        found = b""
        for physical, part in self._pieces(address, length):
            try:
                found += self._read_physical(physical, part)
            except SplaxError:
                if not found:
                    raise
                break
        return found

    def _read_physical(self, address: int, length: int) -> bytes:
        if address in range(memory_map.BOOT_ROM.base, memory_map.BOOT_ROM.end):
            return self.machine.boot_rom(address - memory_map.BOOT_ROM.base, length)
        return self.machine.memory.read(address, length)

    def _pieces(self, address: int, length: int) -> "list[tuple[int, int]]":
        """(physical address, length) of what lies at virtual addresses, up to the first page that is not mapped."""
        pieces = []
        while length:
            part = min(length, 4096 - address % 4096)
            try:
                pieces.append((self.physical(address), part))
            except InputError:
                if not pieces:
                    raise
                break
            address, length = address + part, length - part
        return pieces

    def physical(self, address: int) -> int:
        """Where a load by the hart in its present mode would go; permissions and mstatus.MPRV left aside."""
        satp = self.machine.peek("csr_satp") if self.machine.status.privilege < 3 else 0
        if satp >> 63 == 0:
            return address
        upper = address >> SV39_BITS - 1
        if upper not in (0, (1 << 64 - SV39_BITS + 1) - 1):
            raise InputError(f"{address:#x} is no Sv39 address")
        table = (satp & (1 << 44) - 1) << 12
        for level in (2, 1, 0):
            entry = self.machine.memory.read_word(table + 8 * (address >> 12 + 9 * level & 0x1FF))
            if not entry & PTE_VALID:
                break
            table = (entry >> 10 & (1 << 44) - 1) << 12
            if entry & PTE_LEAF:
                inside = (1 << 12 + 9 * level) - 1
                return table & ~inside | address & inside
        raise InputError(f"{address:#x} is not mapped")

    def _to_instruction(self) -> "Outcome":
        """Runs to where an instruction is about to take effect, and no further."""
        outcome = self.machine.run(step=True, cycles=STEP_CYCLES, each_slice=self.each_slice)
        self._note_end(outcome)
        return outcome

    def _note_end(self, outcome: "Outcome") -> None:
        """Keeps the outcome of a machine that has ended. One that asked for its reset gets it."""
        from .machine import Reason

        if outcome.reason is Reason.RESET and self.machine.layout:
            self.machine.load(self.machine.layout)
            self._to_instruction()
        elif outcome.reason in (Reason.FINISH, Reason.TOHOST, Reason.RESET):
            self.outcome = outcome

    def _stopped(self, signal: int = 5) -> str:
        return f"W{self.outcome.status & 0xFF:02x}" if self.outcome else f"S{signal:02x}"

    def _step(self) -> str:
        from .machine import Reason

        if self._to_instruction().reason is Reason.CYCLES:
            self._tell(f"no instruction in {STEP_CYCLES} cycles; {self.machine.where()}")
        return self._stopped()

    def _is_step(self) -> bool:
        """Whether a step is what gdb wants: it steps RISC-V by a breakpoint where it thinks that the next instruction
        is, and does not know where exceptions and returns from traps go.
        """
        pc = self.machine.status.pc
        if self.breakpoints.isdisjoint((pc + 2, pc + 4)):
            return False
        return bool(self.machine.peek("exception")) or self.read(pc, 4) in (MRET, SRET)

    def _continue(self) -> str:
        from .machine import Reason

        if self._is_step():
            return self._step()
        while True:
            outcome = self.machine.run(
                addresses=sorted(self.breakpoints),
                condition=lambda machine: self._interrupted(),
                each_slice=self.each_slice,
            )
            if outcome.reason is Reason.ADDRESS:
                return self._stopped()
            if outcome.reason is Reason.CONDITION:
                self._to_instruction()
                return self._stopped(signal=2)
            self._note_end(outcome)
            if self.outcome:
                return self._stopped()
            self._tell("the machine was reset")
