"""The host-target interface of bare-metal programs: `tohost` and `fromhost`.

A store of an odd n to `tohost` ends the run: 1 is a pass, else n >> 1 is the failure. An even value is the address of
a block of doublewords: a system call's number, its arguments; the result replaces the number, and `fromhost` becomes
1. The numbers are Linux's: 64 is write, 93 is exit. 0x0101 in the top 16 bits is the console device: print one byte.
Answers are DMA writes: coherent with the cache, and at the same cycle in every run.
"""

from typing import TYPE_CHECKING

from .errors import InputError

if TYPE_CHECKING:
    from .machine import Machine, Outcome

SYS_WRITE = 64
SYS_EXIT = 93
ENOSYS = 38
EBADF = 9
CONSOLE_PUT = 0x0101
LONGEST_WRITE = 1 << 24


class Htif:
    """Serves one program's host-target interface."""

    def __init__(self, machine: "Machine", tohost: int, fromhost: int | None):
        self._machine, self._tohost, self._fromhost = machine, tohost, fromhost

    def serve(self) -> "Outcome | None":
        """Answers what is in `tohost`; gives the outcome if it ends the run."""
        from .machine import Outcome, Reason, exit_status

        machine = self._machine
        request = machine.memory.read_word(self._tohost)
        if request >> 48 == CONSOLE_PUT:
            machine.console.print(bytes([request & 0xFF]))
            self._answer(None, 0, CONSOLE_PUT << 48)
            return None
        if request & 1:
            return Outcome(Reason.TOHOST, machine.cycle, exit_status(request >> 1))
        try:
            block = machine.memory.read(request, 64)
        except InputError as error:
            raise InputError(
                f"tohost names {request:#x} for a request block, which is not in RAM ({machine.where()})"
            ) from error
        number, *arguments = (int.from_bytes(block[n : n + 8], "little") for n in range(0, 64, 8))
        if number == SYS_EXIT:
            return Outcome(Reason.TOHOST, machine.cycle, exit_status(arguments[0] & 0xFFFF_FFFF))
        self._answer(request, self._call(number, arguments), 1)
        return None

    def _call(self, number: int, arguments: list[int]) -> int:
        if number != SYS_WRITE:
            return -ENOSYS
        descriptor, address, length = arguments[:3]
        if descriptor not in (1, 2) or length > LONGEST_WRITE:
            return -EBADF
        self._machine.console.print(self._machine.memory.read(address, length))
        return length

    def _answer(self, block: int | None, result: int, signal: int) -> None:
        if block is not None:
            self._machine.dma_write(block, result & (1 << 64) - 1)
        self._machine.dma_write(self._tohost, 0)
        if self._fromhost is not None:
            self._machine.dma_write(self._fromhost, signal)
