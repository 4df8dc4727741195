"""A client of the GDB remote protocol, as much of it as the twin's QEMU needs."""

import select
import socket
import time

from .errors import SplaxError


class GdbError(SplaxError):
    """The stub refused or went away."""


class GdbClient:
    """Talks to a stub on a Unix socket."""

    def __init__(self, path: str, patience: float = 10.0):
        deadline = time.monotonic() + patience
        while True:
            self._socket = socket.socket(socket.AF_UNIX)
            try:
                self._socket.connect(path)
                break
            except OSError:
                self._socket.close()
                if time.monotonic() > deadline:
                    raise GdbError("QEMU's debugger port does not answer") from None
                time.sleep(0.02)
        self._buffer = b""
        self._watched: list[tuple[int, int]] = []

    def close(self) -> None:
        """Hangs up."""
        self._socket.close()

    def command(self, text: str) -> str:
        """Sends a command, gives the answer."""
        self.send(text)
        answer = self.receive(30.0)
        if answer is None:
            raise GdbError(f"QEMU does not answer {text!r}")
        return answer

    def send(self, text: str) -> None:
        """Sends a packet."""
        self._socket.sendall(f"${text}#{sum(text.encode()) & 0xFF:02x}".encode())

    def receive(self, timeout: float) -> str | None:
        """The next packet, None when none came in time. An empty read means that QEMU has ended: GdbError."""
        deadline = time.monotonic() + timeout
        while True:
            start = self._buffer.find(b"$")
            end = self._buffer.find(b"#", start)
            if start >= 0 and end >= 0 and len(self._buffer) >= end + 3:
                packet = self._buffer[start + 1 : end]
                self._buffer = self._buffer[end + 3 :]
                self._socket.sendall(b"+")
                return packet.decode()
            left = max(0.0, deadline - time.monotonic())
            if not select.select([self._socket], [], [], left)[0]:
                return None
            try:
                data = self._socket.recv(65536)
            except OSError as error:
                raise GdbError("QEMU has ended") from error
            if not data:
                raise GdbError("QEMU has ended")
            self._buffer += data

    def read_memory(self, address: int, length: int) -> bytes:
        """Bytes as the current mode sees them."""
        parts = []
        while length:
            count = min(length, 1024)
            answer = self.command(f"m{address:x},{count:x}")
            if answer.startswith("E"):
                raise GdbError(f"QEMU cannot read {count} bytes at {address:#x}")
            parts.append(bytes.fromhex(answer))
            address, length = address + count, length - count
        return b"".join(parts)

    def write_memory(self, address: int, data: bytes) -> None:
        """Sets bytes."""
        for start in range(0, len(data), 1024):  # a packet has at most 4096 characters
            part = data[start : start + 1024]
            if self.command(f"M{address + start:x},{len(part):x}:{part.hex()}") != "OK":
                raise GdbError(f"QEMU cannot write {len(part)} bytes at {address + start:#x}")

    def registers(self) -> list[int]:
        """x0..x31 and pc."""
        data = bytes.fromhex(self.command("g"))
        return [int.from_bytes(data[n : n + 8], "little") for n in range(0, 33 * 8, 8)]

    def watch(self, address: int, length: int) -> None:
        """Stops before a write to an address; `finish_write` then does the write."""
        self._watched.append((address, length))
        if self.command(f"Z2,{address:x},{length:x}") != "OK":
            raise GdbError(f"QEMU cannot watch {address:#x}")

    def finish_write(self) -> None:
        """Executes the instruction whose write was stopped."""
        self._set_watches("z")
        self.command("s")
        self._set_watches("Z")

    def _set_watches(self, letter: str) -> None:
        for address, length in self._watched:
            if self.command(f"{letter}2,{address:x},{length:x}") != "OK":
                raise GdbError(f"QEMU cannot watch {address:#x}")

    def go(self) -> None:
        """Continues; the next packet says where it stopped."""
        self.send("c")

    def interrupt(self) -> None:
        """Stops a running machine; its answer is the next packet."""
        self._socket.sendall(b"\x03")

    def quit(self) -> None:
        """Ends QEMU."""
        self.send("k")
