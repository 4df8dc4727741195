"""The machine: a SoC that runs natively, with what a person wants to do to it.

    machine = Machine()
    machine.load_virt(kernel=Path("u-boot.bin"))
    machine.run(until=b"=> ", cycles=100_000_000)
    here = machine.checkpoint()
    machine.console.write(b"version\\n")
    machine.run(cycles=1_000_000)
    machine.restore(here)

Nothing happens in Python per cycle: `run` hands cycles to the native harness in slices of some milliseconds.
"""

import ctypes
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import Enum
from functools import cached_property
from pathlib import Path
from typing import Any

from rtl.cpu_riscv64.interfaces import events_layout
from rtl.device_tree import device_tree
from rtl.flattened_tree import flatten
from rtl.memory_map import DRAM_BASE
from rtl.periph.boot_rom import reset_vector
from rtl.soc import Soc, SocConfig

from . import boot, htif
from .binding import Library, Record, Stop
from .build import Design, Simulator, build
from .disassembler import REGISTERS
from .elf import Elf, Symbols
from .errors import CheckpointError, InputError, SplaxError
from .output import finished_file
from .waves import check_waves

EPOCH = 1_750_000_000 * 10**9
"""What the RTC says at reset, in nanoseconds since 1970, unless asked otherwise: runs are reproducible."""

MEMORY_LATENCY = 20
"""Cycles from a read's address to its first beat: DDR3 or SDR SDRAM with its controller, at the clocks of an FPGA."""

SLICE_SECONDS = 0.02
CHECKPOINT_MAGIC = b"splax checkpoint 1\n"


class Reason(Enum):
    """Why `Machine.run` returned."""

    FINISH = "the test finisher"
    TOHOST = "a write to tohost"
    RESET = "a reset request"
    TEXT = "the console text"
    ADDRESS = "the stop address"
    STEP = "the next instruction"
    CYCLES = "the cycle limit"
    TIME = "the time limit"
    CONDITION = "the condition"


@dataclass(frozen=True)
class Outcome:
    """How a run ended; `status` is the exit status that software asked for."""

    reason: Reason
    cycle: int
    status: int = 0


@dataclass(frozen=True)
class Checkpoint:
    """The whole machine at one cycle."""

    key: str
    ram_bytes: int
    cycle: int
    state: bytes

    def save(self, path: Path) -> None:
        """Writes it to a file, whole or not at all."""
        head = f"{self.key} {self.ram_bytes} {self.cycle}\n".encode()
        with finished_file(path) as file:
            file.write(CHECKPOINT_MAGIC + head + zlib.compress(self.state, 1))

    @classmethod
    def load(cls, path: Path) -> "Checkpoint":
        """Reads what `save` wrote."""
        try:
            data = path.read_bytes()
        except OSError as error:
            raise InputError(f"cannot read checkpoint {path}: {error.strerror}") from error
        if not data.startswith(CHECKPOINT_MAGIC):
            raise CheckpointError(f"{path} is not a checkpoint")
        head, _, body = data[len(CHECKPOINT_MAGIC) :].partition(b"\n")
        try:
            key, ram_bytes, cycle = head.decode().split()
            return cls(key, int(ram_bytes), int(cycle), zlib.decompress(body))
        except (ValueError, zlib.error) as error:
            raise CheckpointError(f"checkpoint {path} is damaged or truncated") from error


class Console:
    """The UART's other end. `output` is all that was printed since the last checkpoint was restored."""

    def __init__(self, library: Library, handle: int):
        self._library, self._handle = library, handle
        self._buffer = ctypes.create_string_buffer(1 << 16)
        self.output = bytearray()
        self._printed = bytearray()
        self._unread = 0

    def collect(self) -> bytes:
        """Moves what was printed from the harness to `output`, and gives it."""
        new, self._printed = self._printed, bytearray()
        while count := self._library.console_read(self._handle, self._buffer, len(self._buffer)):
            new += ctypes.string_at(self._buffer, count)
        self.output += new
        return bytes(new)

    def print(self, data: bytes) -> None:
        """Adds what software printed by another way than the UART."""
        self._printed += data

    def read(self) -> bytes:
        """What was printed since the last call."""
        self.collect()
        new = bytes(self.output[self._unread :])
        self._unread = len(self.output)
        return new

    def write(self, data: bytes) -> None:
        """Types; the UART takes the bytes as its FIFO has room."""
        self._library.console_write(self._handle, data, len(data))

    @property
    def pending(self) -> int:
        """Bytes typed that the UART has not taken."""
        return self._library.console_pending(self._handle)


class Memory:
    """RAM as software and devices last wrote it, whatever the caches hold. Reads cost no cycles."""

    def __init__(self, library: Library, handle: int):
        self._library, self._handle = library, handle

    def read(self, address: int, length: int) -> bytes:
        """Bytes of RAM."""
        buffer = ctypes.create_string_buffer(length)
        if not self._library.memory_read(self._handle, address, buffer, length):
            raise InputError(f"{address:#x}..{address + length:#x} is not in RAM")
        return buffer.raw

    def read_word(self, address: int) -> int:
        """A doubleword."""
        return int.from_bytes(self.read(address, 8), "little")

    def write(self, address: int, data: bytes) -> None:
        """Sets bytes behind the caches' back: for images before the machine runs. See `Machine.dma_write`."""
        if not self._library.memory_write(self._handle, address, bytes(data), len(data)):
            raise InputError(f"{address:#x}..{address + len(data):#x} is not in RAM")


class Machine:
    """A SoC in simulation.

    Parameters
    ----------
    config
        The SoC; `config.ram_bytes` is the RAM's size.
    traced
        Build the simulator that can write waves, at less than half the speed.
    latency
        Of memory, in cycles; see MEMORY_LATENCY.
    rtc_time
        Nanoseconds since 1970 at reset.
    design
        Makes the SoC; for tests of the machine itself.
    report
        Told each step of a build.
    """

    def __init__(
        self,
        config: SocConfig | None = None,
        *,
        traced: bool = False,
        latency: int = MEMORY_LATENCY,
        rtc_time: int = EPOCH,
        design: Design = Soc,
        report: Callable[[str], None] = lambda step: None,
    ):
        if latency < 2:
            raise InputError(f"the memory latency must be 2 cycles or more, not {latency}")
        self.config = config or SocConfig()
        self.simulator: Simulator = build(self.config, traced=traced, design=design, report=report)
        self._library = Library(self.simulator.library)
        self._handle = self._library.create(DRAM_BASE, self.config.ram_bytes, latency, rtc_time)
        if not self._handle:
            raise InputError(
                f"the host cannot give {self.config.ram_bytes >> 20} MiB for RAM", "ask for less with --ram"
            )
        self.status = self._library.status(self._handle).contents
        self.console = Console(self._library, self._handle)
        self.memory = Memory(self._library, self._handle)
        self.symbols = Symbols()
        self.layout: boot.Layout | None = None
        self._htif: htif.Htif | None = None
        self.wall_seconds = 0.0
        self.cpu_seconds = 0.0
        self._slice = 20_000

    def close(self) -> None:
        """Gives everything back; files are complete."""
        if self._handle:
            self._library.destroy(self._handle)
            self._handle = None

    def __enter__(self) -> "Machine":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- loading -----------------------------------------------------------------------------------------------------

    def device_tree(self, chosen: boot.Chosen) -> bytes:
        """The flattened device tree of this machine for one boot."""
        return flatten(device_tree(self.config, bootargs=chosen.bootargs or None, initrd=chosen.initrd))

    def load_virt(
        self, *, bios: str | Path = "default", kernel: Path | None = None, initrd: Path | None = None, append: str = ""
    ) -> None:
        """Loads images as `qemu-system-riscv64 -M virt` does, and resets."""
        ram = self.config.ram_bytes
        self.load(boot.virt(ram, self.device_tree, bios=bios, kernel=kernel, initrd=initrd, append=append))

    def load_elf(self, path: Path) -> None:
        """Loads a bare-metal ELF file, and resets. Its `tohost` and `fromhost` are served."""
        layout, elf = boot.bare_metal(self.config.ram_bytes, self.device_tree, path)
        self.load(layout)
        self.serve_host(elf)

    def load(self, layout: boot.Layout) -> None:
        """Loads a layout, sets the boot ROM, and resets."""
        for _, segment in layout.segments:
            self.memory.write(segment.address, segment.data + bytes(segment.size - len(segment.data)))
        self.layout = layout
        self.symbols = boot.symbols_of(layout)
        self._library.set_boot_rom(self._handle, *_rom(layout))
        self.reset()

    def serve_host(self, elf: Elf) -> None:
        """Watches the host-target interface of a program, where it has one."""
        tohost = elf.symbols.addresses.get("tohost")
        if tohost is None:
            return
        if "stores" not in self.simulator.features:
            raise InputError("this SoC reports no stores: tohost cannot be watched")
        self._htif = htif.Htif(self, tohost, elf.symbols.addresses.get("fromhost"))
        self._library.watch_tohost(self._handle, tohost)

    def reset(self) -> None:
        """Resets the SoC; RAM keeps its contents."""
        self._library.reset(self._handle)

    # --- running -----------------------------------------------------------------------------------------------------

    @property
    def cycle(self) -> int:
        """Cycles run, those in reset not counted."""
        return self.status.cycle

    def run(
        self,
        *,
        cycles: int | None = None,
        seconds: float | None = None,
        until: bytes | str | None = None,
        addresses: Iterable[int | str] = (),
        step: bool = False,
        condition: Callable[["Machine"], bool] | None = None,
        each_slice: Callable[[bytes], None] | None = None,
    ) -> Outcome:
        """Runs until the first of what is given, or until software ends the machine.

        Parameters
        ----------
        cycles
            At most so many more.
        seconds
            At most so long, of wall clock.
        until
            Stop when the console has printed this text.
        addresses
            Stop when an instruction at one of these (numbers or symbols) is about to commit, or to raise an exception.
        step
            Stop when any instruction is.
        condition
            Asked now and then (every slice of about 20 ms): true stops.
        each_slice
            Called as often, with what the console printed.
        """
        last = None if cycles is None else self.cycle + cycles
        text = until.encode() if isinstance(until, str) else until or b""
        self._library.until(self._handle, text, len(text))
        self._stop_at([self.address(name) for name in addresses])
        self._library.stepping(self._handle, step)
        deadline = None if seconds is None else time.monotonic() + seconds
        return self._run(last, deadline, condition, each_slice)

    def _run(
        self,
        last: int | None,
        deadline: float | None,
        condition: Callable[["Machine"], bool] | None,
        each_slice: Callable[[bytes], None] | None,
    ) -> Outcome:
        outcome = None
        while outcome is None:
            count = self._slice if last is None else min(self._slice, last - self.cycle)
            stop = self._slice_of(count)
            if stop & Stop.TOHOST and self._htif:
                outcome = self._htif.serve()
            printed = self.console.collect()
            if each_slice:
                each_slice(printed)
            if outcome is None:
                outcome = self._outcome(stop)
            if outcome is None and condition and condition(self):
                outcome = Outcome(Reason.CONDITION, self.cycle)
            if outcome is None and last is not None and self.cycle >= last:
                outcome = Outcome(Reason.CYCLES, self.cycle, 124)
            if outcome is None and deadline is not None and time.monotonic() >= deadline:
                outcome = Outcome(Reason.TIME, self.cycle, 124)
        return outcome

    def _slice_of(self, count: int) -> Stop:
        """Some cycles, natively; the next slice's size is set so that it takes about SLICE_SECONDS."""
        wall, cpu, before = time.monotonic(), time.process_time(), self.cycle
        stop = Stop(self._library.run(self._handle, count))
        wall = time.monotonic() - wall
        self.wall_seconds += wall
        self.cpu_seconds += time.process_time() - cpu
        if wall > 0 and (done := self.cycle - before) >= 1000:
            wanted = int(done / wall * SLICE_SECONDS)
            self._slice = max(1000, min(wanted, 4 * self._slice))
        return stop

    def _outcome(self, stop: Stop) -> Outcome | None:
        if stop & Stop.FINISH:
            if self.status.finish_reset:
                return Outcome(Reason.RESET, self.cycle)
            return Outcome(Reason.FINISH, self.cycle, exit_status(self.status.finish_code))
        if stop & Stop.TEXT:
            return Outcome(Reason.TEXT, self.cycle)
        if stop & Stop.ADDRESS:
            return Outcome(Reason.ADDRESS, self.cycle)
        if stop & Stop.STEP:
            return Outcome(Reason.STEP, self.cycle)
        return None

    def step_native(self, cycles: int) -> Stop:
        """A few cycles without any of `run`'s services; for those who serve the machine between slices."""
        return Stop(self._library.run(self._handle, cycles))

    def _stop_at(self, addresses: list[int]) -> None:
        array = (ctypes.c_uint64 * max(1, len(addresses)))(*addresses)
        self._library.stop_addresses(self._handle, array, len(addresses))

    def address(self, name: int | str) -> int:
        """The value of a symbol."""
        if isinstance(name, int):
            return name
        try:
            return self.symbols.addresses[name]
        except KeyError:
            raise InputError(f"there is no symbol {name!r} in what was loaded") from None

    # --- devices' side -----------------------------------------------------------------------------------------------

    def dma(self, address: int, data: int = 0, mask: int = 0) -> int:
        """One doubleword through the coherent DMA port, as a device would: a read where `mask` names no byte.

        The machine runs on meanwhile. Raises SplaxError when the bus refuses.
        """
        if "dma" not in self.simulator.features:
            raise InputError("this SoC has no DMA port", "build it with SocConfig(dma=True)")
        result = ctypes.c_uint64()
        if not self._library.dma_start(self._handle, address, data, mask):
            raise SplaxError("a DMA access is under way")
        for _ in range(10_000):
            self.step_native(16)
            response = self._library.dma_result(self._handle, ctypes.byref(result))
            if response == 0:
                return result.value
            if response > 0:
                raise SplaxError(f"the bus answered {response} to DMA at {address:#x}")
        raise SplaxError(f"the bus does not answer DMA at {address:#x}")

    def dma_write(self, address: int, data: int) -> None:
        """Writes a doubleword, coherently."""
        self.dma(address, data, 0xFF)

    def interrupts(self, *, virtio: int = 0, pci: int = 0) -> None:
        """Sets the levels of the external interrupt lines."""
        self._library.interrupts(self._handle, virtio, pci)

    # --- looking -----------------------------------------------------------------------------------------------------

    def where(self) -> str:
        """`pc 0x80000000 (main+0x10), machine mode`."""
        name = self.symbols.name(self.status.pc)
        mode = {0: "user", 1: "supervisor", 3: "machine"}.get(self.status.privilege, "unknown")
        return f"pc {self.status.pc:#x}{f' ({name})' if name else ''}, {mode} mode"

    def recent(self) -> list[int]:
        """Addresses of the last instructions retired, oldest first."""
        count, size = self.status.instructions, len(self.status.recent)
        return [self.status.recent[n % size] for n in range(max(0, count - size), count)]

    def registers(self) -> dict[str, int]:
        """pc and x1..x31, by ABI name: as the instructions retired so far leave them."""
        values = (ctypes.c_uint64 * 32)()
        if not self._library.registers(self._handle, values):
            raise InputError("this SoC shows no register file")
        return {"pc": self.status.pc} | {name: values[n] for n, name in enumerate(REGISTERS) if n}

    def peek(self, name: str) -> int:
        """An output of the simulator such as `csr_mepc`, or a register or wire by its name below the SoC, such as
        `core.fetch.pc`, as far as the design still has it.

        What optimisation removed reads as 0 where other bits of the name are left; where nothing is left, InputError.
        """
        pieces = self._inside.get(name)
        if not pieces:
            raise InputError(f"there is no {name!r} inside this simulator")
        return sum(self._library.peek(self._handle, index) << low for low, index in pieces)

    def words(self) -> dict[str, tuple[int, int]]:
        """Offset and bytes in `state` of ports and registers, by name; registers have their lowest bit behind it."""
        widest: dict[tuple[int, int], tuple[int, str]] = {}
        number = 0
        while (row := self._library.inside()[number]).name:
            name, _, bits = row.name.decode().rstrip("]").partition("[")
            name = f"{name}[{bits.rpartition(':')[2]}]" if bits else name
            if row.shift == 0 and row.width > widest.get((row.offset, row.size), (0, ""))[0]:
                widest[row.offset, row.size] = (row.width, name)
            number += 1
        return {name: place for place, (_, name) in widest.items()}

    def state(self, length: int) -> bytes:
        """The first bytes of the design's state as it lies in memory."""
        return ctypes.string_at(self._library.look(self._handle), length)

    def has(self, name: str) -> bool:
        """Whether `peek` knows the name."""
        return name in self._inside

    def boot_rom(self, offset: int, length: int) -> bytes:
        """The boot ROM's contents as they were loaded."""
        contents = _rom(self.layout)[0] if self.layout else b""
        return contents[offset : offset + length].ljust(length, b"\0")

    @cached_property
    def _inside(self) -> dict[str, list[tuple[int, int]]]:
        """(lowest bit, index) of the pieces of everything inside, by name."""
        found: dict[str, list[tuple[int, int]]] = {}
        index = 0
        while text := self._library.inside()[index].name:
            name, _, bits = text.decode().rstrip("]").partition("[")
            low = bits.rpartition(":")[2]
            found.setdefault(name, []).append((int(low) if low.isdigit() else 0, index))
            index += 1
        return found

    def statistics(self) -> dict[str, Any]:
        """Counts and times since the machine was made."""
        status = self.status
        cycles, instructions = status.cycle, status.instructions
        events = {name: status.events[n] for n, name in enumerate(events_layout().members)}
        wall, cpu = self.wall_seconds, self.cpu_seconds
        return {
            "cycles": cycles,
            "instructions": instructions,
            "cpi": round(cycles / instructions, 4) if instructions else None,
            "mtime": status.mtime,
            "counters": events,
            "dram_read_bytes": status.read_bytes,
            "dram_write_bytes": status.write_bytes,
            "wall_seconds": round(wall, 6),
            "cpu_seconds": round(cpu, 6),
            "effective_mhz": round(cycles / wall / 1e6, 4) if wall else None,
            "mhz_per_cpu_second": round(cycles / cpu / 1e6, 4) if cpu else None,
        }

    # --- going back --------------------------------------------------------------------------------------------------

    def checkpoint(self) -> Checkpoint:
        """The machine as it is now. Takes milliseconds."""
        saved = self._library.save(self._handle)
        try:
            state = ctypes.string_at(self._library.saved_data(saved), self._library.saved_size(saved))
        finally:
            self._library.saved_free(saved)
        return Checkpoint(self.simulator.key, self.config.ram_bytes, self.cycle, state)

    def restore(self, checkpoint: Checkpoint) -> None:
        """Goes to a checkpoint's cycle and state; it must be of the same simulator and RAM size."""
        if checkpoint.key != self.simulator.key or checkpoint.ram_bytes != self.config.ram_bytes:
            raise CheckpointError(
                "the checkpoint is of another machine "
                f"(simulator {checkpoint.key}, {checkpoint.ram_bytes >> 20} MiB; here {self.simulator.key}, "
                f"{self.config.ram_bytes >> 20} MiB)",
                "run from reset instead",
            )
        self.console.collect()
        self._library.restore(self._handle, checkpoint.state)

    # --- recording ---------------------------------------------------------------------------------------------------

    @contextmanager
    def waves(self, path: Path) -> Iterator[None]:
        """Records waves while in the block."""
        if "trace" not in self.simulator.features:
            raise InputError("this simulator records no waves", "make the machine with traced=True")
        with finished_file(path, by_name=True) as temporary:
            if not self._library.waves_open(self._handle, str(temporary).encode()):
                raise InputError(f"cannot write waves to {path}")
            try:
                yield
            finally:
                self._library.waves_close(self._handle)
            check_waves(Path(str(temporary)), path)

    def record(self, capacity: int = 1 << 16) -> None:
        """Starts to keep retired instructions; take them with `records` in time. A capacity of 0 ends it."""
        if "rvfi" not in self.simulator.features:
            raise InputError("this simulator has no RVFI port", "build it with CoreConfig(rvfi=True)")
        self._library.records_start(self._handle, capacity)

    def records(self, *, ending: bool = False) -> list[Record]:
        """Retired instructions since the last call; `ending` adds the one whose effect ended the run."""
        if ending:
            self._library.records_last(self._handle)
        at = ctypes.POINTER(Record)()
        count = self._library.records_take(self._handle, ctypes.byref(at))
        return list((Record * count).from_buffer_copy(ctypes.string_at(at, count * ctypes.sizeof(Record))))


def exit_status(code: int) -> int:
    """A failure code as a process's exit status: 8 bits, and never 0 for a failure."""
    return code & 0xFF or (1 if code else 0)


def _rom(layout: boot.Layout) -> tuple[bytes, int]:
    contents = reset_vector(start=layout.start, device_tree=layout.device_tree, next_address=layout.next_address)
    return contents, len(contents)


def with_rvfi(config: SocConfig) -> SocConfig:
    """The same SoC with its RVFI port."""
    return replace(config, core=replace(config.core, rvfi=True))
