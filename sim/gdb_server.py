"""A stub for gdb on the simulated SoC: `splax run --gdb`. The machine stands still while gdb looks.

The remote protocol (gdb manual, appendix E), as much as gdb needs for one hart: registers, memory as the hart's own
translation shows it (Sv39, Privileged 4.4), breakpoints by address, step, continue, interrupt. Stops are exact: the
instruction at pc has not been executed. Memory and registers are not written: what caches hold would not follow.
"""

import os
import select
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

from .errors import InputError, SplaxError

if TYPE_CHECKING:
    from .machine import Machine, Outcome

PACKET = 0x1000
STEP_CYCLES = 1_000_000
"""Without an instruction in so many cycles, a step ends where it is (a wfi)."""

PC = 32
PTE_VALID, PTE_LEAF = 1, 0b1110
MASK = (1 << 64) - 1
RESET_VECTOR = 0x1000

# Offsets of jumps and branches: the instruction's bit of each bit of the offset, from bit 1 up (ISA manual 2.5, 16.4).
_JUMP = (*range(21, 31), 20, *range(12, 20), 31)
_BRANCH = (*range(8, 12), *range(25, 31), 7, 31)
_C_JUMP = (3, 4, 5, 11, 2, 7, 6, 9, 10, 8, 12)
_C_BRANCH = (3, 4, 10, 11, 2, 5, 6, 12)


def _signed(word: int, bits: tuple[int, ...]) -> int:
    """The offset whose bits lie scattered in an instruction."""
    value = sum((word >> bit & 1) << n for n, bit in enumerate(bits, start=1))
    return value - (2 << len(bits)) if word >> bits[-1] & 1 else value


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
        if machine.cycle == 0:
            machine.run(addresses=[RESET_VECTOR], cycles=1000)
        self.connection, _ = server.accept()
        server.close()
        self.breakpoints: set[int] = set()
        self.buffer = b""
        self.outcome: Outcome | None = None

    def serve(self) -> "Outcome | None":
        """Answers until the machine ends (its outcome) or gdb leaves (None: it runs on alone)."""
        with self.connection:
            while self.outcome is None:
                packet = self._receive()
                if packet is None or packet.startswith(("D", "k")):
                    if packet is not None and packet.startswith("D"):
                        self._send("OK")
                    return None
                answer = self._answer(packet)
                if answer is not None:
                    self._send(answer)
        return self.outcome

    # --- packets -----------------------------------------------------------------------------------------------------

    def _send(self, text: str) -> None:
        self.connection.sendall(f"${text}#{sum(text.encode()) & 0xFF:02x}".encode())

    def _receive(self) -> str | None:
        """The next packet; None when gdb has gone."""
        while True:
            start = self.buffer.find(b"$")
            end = self.buffer.find(b"#", start)
            if 0 <= start < end and len(self.buffer) >= end + 3:
                packet = self.buffer[start + 1 : end].decode(errors="replace")
                self.buffer = self.buffer[end + 3 :]
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
        if not select.select([self.connection], [], [], 0)[0]:
            return False
        data = self.connection.recv(PACKET)
        self.buffer += data.replace(b"\x03", b"")
        return not data or b"\x03" in data

    def _answer(self, packet: str) -> str | None:
        letter, rest = packet[:1], packet[1:]
        try:
            match letter:
                case "?":
                    return "S05"
                case "g":
                    return "".join(self._register(n) for n in range(PC + 1))
                case "p":
                    number = int(rest, 16)
                    return self._register(number) if number <= PC else "E01"
                case "m":
                    address, _, length = rest.partition(",")
                    return self.read(int(address, 16), min(int(length, 16), PACKET // 2)).hex()
                case "Z" | "z" if rest[:1] in ("0", "1"):
                    address = int(rest.split(",")[1], 16)
                    (self.breakpoints.add if letter == "Z" else self.breakpoints.discard)(address)
                    return "OK"
                case "c" | "s" if not rest:
                    return self._step() if letter == "s" else self._continue()
                case "H" | "T":
                    return "OK"
                case "M" | "G" | "P" | "X":
                    return "E01"
                case "q":
                    return self._query(packet)
        except (ValueError, IndexError, SplaxError):
            return "E01"
        return ""

    def _query(self, packet: str) -> str:
        if packet.startswith("qSupported"):
            return f"PacketSize={PACKET:x}"
        return {"qAttached": "1", "qC": "QC1", "qfThreadInfo": "m1", "qsThreadInfo": "l"}.get(packet, "")

    # --- the machine -------------------------------------------------------------------------------------------------

    def _register(self, number: int) -> str:
        values = self.machine.registers()
        value = values["pc"] if number == PC else 0 if number == 0 else [*values.values()][number]
        return value.to_bytes(8, "little").hex()

    def read(self, address: int, length: int) -> bytes:
        """Memory at virtual addresses; fewer bytes where the rest is not there."""
        found = b""
        while len(found) < length:
            here = address + len(found)
            part = min(length - len(found), 4096 - here % 4096)
            try:
                found += self.machine.memory.read(self._physical(here), part)
            except SplaxError:
                if not found:
                    raise
                break
        return found

    def _physical(self, address: int) -> int:
        """Where the hart's own translation leads."""
        satp = self.machine.peek("core.csr.satp") if self.machine.status.privilege < 3 else 0
        if satp >> 63 == 0:
            return address
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

    def _step(self) -> str:
        """One instruction: runs to wherever it can lead, traps included."""
        self.machine.run(addresses=sorted(self._successors()), cycles=STEP_CYCLES, each_slice=self.each_slice)
        return "S05"

    def _successors(self) -> set[int]:
        """Every address that the instruction at pc can lead to."""
        values = self.machine.registers()
        pc, machine = values["pc"], self.machine
        vectors = {machine.peek(f"core.csr.{name}") & ~3 for name in ("mtvec", "stvec")}
        returns = {machine.peek(f"core.csr.{name}") for name in ("mepc", "sepc")}
        try:
            word = int.from_bytes(self.read(pc, 4).ljust(4, b"\0"), "little")
        except SplaxError:  # the boot ROM: straight on, or into the firmware
            return {pc + 4, machine.layout.start if machine.layout else pc} | vectors
        registers = [0, *[*values.values()][1:]]
        opcode, code = word & 0x7F, word & 0xE003
        if word & 3 != 3:
            found = {pc + 2}
            if code == 0xA001:  # c.j
                found = {pc + _signed(word, _C_JUMP)}
            elif code in (0xC001, 0xE001):  # c.beqz, c.bnez
                found.add(pc + _signed(word, _C_BRANCH))
            elif code == 0x8002 and not word >> 2 & 31:  # c.jr, c.jalr
                found.add(registers[word >> 7 & 31])
        else:
            found = {pc + 4}
            if opcode == 0x6F:
                found = {pc + _signed(word, _JUMP)}
            elif opcode == 0x63:
                found.add(pc + _signed(word, _BRANCH))
            elif opcode == 0x67:
                offset = (word >> 20 ^ 0x800) - 0x800
                found = {registers[word >> 15 & 31] + offset & ~1}
            elif opcode == 0x73 and not word >> 12 & 7:  # ecall, mret, sret
                found |= returns
        return {address & MASK for address in found} | vectors

    def _continue(self) -> str:
        from .machine import Reason

        outcome = self.machine.run(
            addresses=sorted(self.breakpoints),
            condition=lambda machine: self._interrupted(),
            each_slice=self.each_slice,
        )
        if outcome.reason is Reason.ADDRESS:
            return "S05"
        if outcome.reason is Reason.CONDITION:
            return "S02"
        self.outcome = outcome
        return f"W{outcome.status & 0xFF:02x}"
