"""What `splax run` and `splax qemu` are asked to do, checked."""

import re
from dataclasses import dataclass
from pathlib import Path

from rtl.soc import SocConfig
from sim.errors import InputError

UNITS = {"": 20, "K": 10, "M": 20, "G": 30}


@dataclass(frozen=True)
class RunOptions:
    """The options of both commands; see `splax run --help`."""

    bios: str = "default"
    kernel: Path | None = None
    initrd: Path | None = None
    append: str = ""
    elf: Path | None = None
    ram: int = 128 << 20
    max_cycles: int | None = None
    timeout: float | None = None
    until: str | None = None
    stats: Path | None = None
    signature: Path | None = None
    trace: Path | None = None
    wave: Path | None = None
    wave_from: int = 0
    wave_to: int | None = None
    clock: int = SocConfig.__dataclass_fields__["clock_hz"].default
    latency: int = 20
    restore: Path | None = None
    checkpoint: Path | None = None
    gdb: str | None = None
    arch: str = "riscv64"

    def __post_init__(self) -> None:
        if self.elf and (self.bios != "default" or self.kernel or self.initrd or self.append):
            raise InputError("--elf runs without firmware", "leave out --bios, --kernel, --initrd and --append")
        if self.until == "":
            raise InputError("--until needs a text", "give the text to wait for")
        for name, value in (("--max-cycles", self.max_cycles), ("--timeout", self.timeout)):
            if value is not None and value <= 0:
                raise InputError(f"{name} must be more than 0, not {value}")
        if self.gdb is not None and self.gdb.isdigit() and not 0 < int(self.gdb) < 65536:
            raise InputError(f"--gdb {self.gdb} is not a port", "give one of 1..65535, or a path for a socket")
        if self.gdb is not None and (self.trace or self.wave):
            raise InputError("--gdb stops the machine when it likes: no --trace and no --wave with it")
        if self.signature and not self.elf:
            raise InputError("--signature needs the symbols of a program", "name it with --elf")
        if not self.wave and (self.wave_from or self.wave_to is not None):
            raise InputError("--wave-from and --wave-to need --wave", "name the wave file")
        if self.wave_from < 0 or (self.wave_to is not None and self.wave_to <= self.wave_from):
            raise InputError(
                f"the window {self.wave_from}..{self.wave_to} of cycles is empty",
                "let --wave-to be more than --wave-from",
            )


def parse_size(text: str) -> int:
    """Bytes of a size such as 512M, 2G or 1024 (MiB, as QEMU takes it)."""
    match = re.fullmatch(r"(\d+)\s*([KMG]?)(i?B)?", text.strip(), re.IGNORECASE)
    if not match:
        raise InputError(f"--ram {text!r} is not a size", "give a number of MiB, or one with K, M or G")
    return int(match[1]) << UNITS[match[2].upper()]


def soc_config(options: RunOptions) -> SocConfig:
    """The SoC that the options ask for. Only a bare-metal program is answered through the DMA port (`fromhost`)."""
    try:
        return SocConfig(clock_hz=options.clock, ram_bytes=options.ram, dma=options.elf is not None)
    except ValueError as error:
        raise InputError(str(error), "see --ram and --clock") from error
