"""What is in memory when the core leaves reset: QEMU's `virt` machine, image by image.

The rules are those of QEMU 7.2 (hw/riscv/boot.c and virt.c), checked against it by tests/sim/test_boot.py:

- firmware: an ELF at its addresses, else a raw image at DRAM's base; started at DRAM's base either way;
- kernel: an ELF at its addresses (the lowest is where it is entered), a uImage where it says, else a raw image at the
  next multiple of 2 MiB behind the firmware;
- initrd: half of RAM, but at most 128 MiB, behind the kernel's start;
- device tree: as high as it fits at a multiple of 2 MiB below the end of RAM or 3 GiB;
- reset vector: a0 = hart id, a1 = device tree, a2 = fw_dynamic information, which names the kernel.
"""

import gzip
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from rtl.memory_map import DRAM_BASE

from .elf import Elf, Segment, Symbols, is_elf, read_elf, read_file
from .errors import InputError

MIB = 1 << 20
ALIGNMENT = 2 * MIB
DEVICE_TREE_LIMIT = 3072 * MIB
UIMAGE_MAGIC = 0x2705_1956

OPENSBI = (
    Path("/usr/lib/riscv64-linux-gnu/opensbi/generic/fw_dynamic.bin"),
    Path("/usr/share/qemu/opensbi-riscv64-generic-fw_dynamic.bin"),
)
U_BOOT = (Path("/usr/lib/u-boot/qemu-riscv64_smode/u-boot.bin"),)


@dataclass(frozen=True)
class Chosen:
    """What the device tree's /chosen says of this boot."""

    bootargs: str = ""
    initrd: tuple[int, int] | None = None


@dataclass
class Layout:
    """Everything that is loaded, and where the core starts."""

    ram_bytes: int
    segments: list[tuple[str, Segment]] = field(default_factory=list)
    start: int = DRAM_BASE
    next_address: int = 0
    device_tree: int = 0
    symbols: dict[str, int] = field(default_factory=dict)

    @property
    def ram_end(self) -> int:
        """First address behind RAM."""
        return DRAM_BASE + self.ram_bytes

    def place(self, what: str, segment: Segment) -> None:
        """Adds a segment; it must lie in RAM and on no other one."""
        if segment.address < DRAM_BASE or segment.end > self.ram_end:
            raise InputError(
                f"{what} does not fit: it needs {span(segment)}, RAM is {DRAM_BASE:#x}..{self.ram_end:#x}",
                "give more RAM with --ram, or link it elsewhere",
            )
        for other, placed in self.segments:
            if segment.address < placed.end and placed.address < segment.end:
                raise InputError(
                    f"{what} at {span(segment)} overlaps {other} at {span(placed)}",
                    "give more RAM with --ram, or link it elsewhere",
                )
        self.segments.append((what, segment))

    def place_elf(self, what: str, elf: Elf) -> None:
        """Adds every segment of an ELF file, and its symbols."""
        for segment in elf.segments:
            self.place(what, segment)
        self.symbols |= elf.symbols.addresses


def span(segment: Segment) -> str:
    """`first..behind` in hexadecimal."""
    return f"{segment.address:#x}..{segment.end:#x}"


def align_up(value: int, alignment: int) -> int:
    """The next multiple of `alignment`."""
    return -(-value // alignment) * alignment


def find_image(candidates: tuple[Path, ...], what: str, package: str) -> Path:
    """The first file that is there, or the name of the package that has it."""
    for path in candidates:
        if path.exists():
            return path
    raise InputError(f"{what} is not installed ({candidates[0]})", f"apt-get install {package}, or name an image")


def default_firmware() -> Path:
    """Debian's OpenSBI."""
    return find_image(OPENSBI, "OpenSBI", "opensbi")


def default_kernel() -> Path:
    """Debian's U-Boot: the kernel nobody here wrote that is measured and compared with."""
    return find_image(U_BOOT, "U-Boot", "u-boot-qemu")


DeviceTree = Callable[[Chosen], bytes]


def virt(
    ram_bytes: int,
    device_tree: DeviceTree,
    *,
    bios: str | Path = "default",
    kernel: Path | None = None,
    initrd: Path | None = None,
    append: str = "",
) -> Layout:
    """Lays out a boot as `qemu-system-riscv64 -M virt` does; `bios` is a path, "default" or "none"."""
    layout = Layout(ram_bytes)
    firmware_end = DRAM_BASE
    if str(bios) != "none":
        path = default_firmware() if str(bios) == "default" else Path(bios)
        firmware_end = _place_image(layout, "firmware", path, DRAM_BASE)[1]
    chosen = Chosen(bootargs=append)
    if kernel is not None:
        layout.next_address, _ = _place_image(layout, "kernel", kernel, align_up(firmware_end, ALIGNMENT))
        if initrd is not None:
            start = layout.next_address + min(ram_bytes // 2, 128 * MIB)
            data = read_file(initrd, "initrd")
            layout.place(f"initrd {initrd}", Segment(start, data, len(data)))
            chosen = Chosen(bootargs=append, initrd=(start, start + len(data)))
    elif initrd is not None or append:
        raise InputError("--initrd and --append are for a kernel", "name one with --kernel")
    place_device_tree(layout, device_tree(chosen))
    return layout


def bare_metal(ram_bytes: int, device_tree: DeviceTree, path: Path) -> tuple[Layout, Elf]:
    """Lays out an ELF file that runs without firmware, entered in M-mode at its entry point."""
    layout = Layout(ram_bytes)
    elf = read_elf(path)
    layout.place_elf(f"ELF file {path}", elf)
    if elf.entry % 2:
        raise InputError(f"ELF file {path} has an odd entry point {elf.entry:#x}", "link it again")
    layout.start = elf.entry
    place_device_tree(layout, device_tree(Chosen()))
    return layout, elf


def place_device_tree(layout: Layout, blob: bytes) -> None:
    """As QEMU: the highest multiple of 2 MiB below the end of RAM or 3 GiB."""
    top = min(layout.ram_end, DEVICE_TREE_LIMIT) if DRAM_BASE < DEVICE_TREE_LIMIT else layout.ram_end
    address = (top - len(blob)) // ALIGNMENT * ALIGNMENT
    if address < DRAM_BASE:
        raise InputError(
            f"the device tree of {len(blob)} bytes does not fit: it lies at a multiple of 2 MiB, "
            f"RAM has {layout.ram_bytes >> 10} KiB",
            "give more RAM with --ram",
        )
    layout.place("device tree", Segment(address, blob, len(blob)))
    layout.device_tree = address


def _place_image(layout: Layout, what: str, path: Path, default: int) -> tuple[int, int]:
    """Adds an ELF file, a uImage or a raw image; gives its lowest address (a uImage's entry) and its end."""
    data = read_file(path, what)
    name = f"{what} {path}"
    if is_elf(data):
        elf = read_elf(path, what)
        layout.place_elf(name, elf)
        return elf.lowest, elf.end
    if what == "kernel" and int.from_bytes(data[:4], "big") == UIMAGE_MAGIC:
        address, entry, data = _unpack_uimage(name, data)
        layout.place(name, Segment(address, data, len(data)))
        return entry, address + len(data)
    layout.place(name, Segment(default, data, len(data)))
    _symbols_beside(layout, path)
    return default, default + len(data)


def _symbols_beside(layout: Layout, path: Path) -> None:
    """A raw image's ELF file is often beside it: then addresses get names. Symbols of position-independent images
    are relative to their base, and are left out."""
    for candidate in (path.with_suffix(".elf"), path.with_name("uboot.elf")):
        if candidate != path and candidate.exists():
            try:
                elf = read_elf(candidate)
            except InputError:
                continue
            if elf.lowest >= DRAM_BASE:
                layout.symbols |= elf.symbols.addresses
                return


def _unpack_uimage(name: str, data: bytes) -> tuple[int, int, bytes]:
    """Load address, entry and contents of a legacy U-Boot image."""
    if len(data) < 64:
        raise InputError(f"{name} is truncated: a uImage has a header of 64 bytes", "build or copy it again")
    size, address, entry = (int.from_bytes(data[n : n + 4], "big") for n in (12, 16, 20))
    compression = data[31]
    contents = data[64 : 64 + size]
    if len(contents) < size:
        raise InputError(
            f"{name} is truncated: {size} bytes announced, {len(contents)} there", "build or copy it again"
        )
    if compression == 1:
        try:
            contents = gzip.decompress(contents)
        except (OSError, EOFError, zlib.error) as error:
            raise InputError(f"{name} does not unpack ({error})", "build or copy it again") from error
    elif compression:
        raise InputError(f"{name} is compressed by method {compression}", "use gzip, or none")
    return address, entry, contents


def symbols_of(layout: Layout) -> Symbols:
    """Names for addresses of everything loaded."""
    return Symbols(layout.symbols)
