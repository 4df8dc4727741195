"""Builds the firmware: `python -m firmware --out FILE` writes the raw image, and says what is in it.

The image starts at DRAM's base (fw_dynamic: the loader enters it there). Its region, which PMP protects and the device
tree reserves, is the power of two from there that holds text, data, .bss and the harts' stacks.
"""

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

from firmware.boot import boot, join
from firmware.trap import fatal, firmware_panic, trap
from kernel.arch.riscv64.machine_mode import entry
from kernel.image import Elf
from kernel.lang import build, stack
from kernel.lang.stack import StackUse
from rtl.memory_map import DRAM_BASE

# kernel/link.py's scripts are for an image with pages, guard pages and one stack; this one has none of them.
LINKER_SCRIPT = f"""
ENTRY(_start)
PHDRS {{ text PT_LOAD FLAGS(5); data PT_LOAD FLAGS(6); }}
SECTIONS {{
    . = {DRAM_BASE:#x};
    image_start = .;
    .text : {{ KEEP(*(.text.start)) *(.text .text.*) }} :text
    text_end = .;
    .rodata : {{ *(.rodata .rodata.* .srodata .srodata.*) }} :text
    . = ALIGN(16);
    rodata_end = .;
    .data : {{ *(.data .data.* .sdata .sdata.*) . = ALIGN(16); }} :data
    data_end = .;
    bss_start = .;
    .bss (NOLOAD) : {{ *(.bss .bss.* .sbss .sbss.* COMMON) . = ALIGN(16); }} :data
    bss_end = .;
    firmware_stacks = .;
    . += {entry.MAX_HARTS * entry.STACK_BYTES};
    image_end = .;
    /DISCARD/ : {{ *(.comment .note.GNU-stack .eh_frame .stack_sizes) }}
}}
"""


@dataclass(frozen=True)
class Firmware:
    """A built firmware: the raw image, the ELF file for debuggers, sizes in bytes, and stack use of every entry."""

    image: Path
    elf: Path
    sizes: dict[str, int]
    stacks: tuple[StackUse, ...]

    def report(self) -> str:
        """Sizes and stack use, in a few lines."""
        deepest = max(use.bytes + entry.FRAME_BYTES * (use.entry == "firmware_trap") for use in self.stacks)
        parts = ", ".join(f"{name} {size}" for name, size in self.sizes.items())
        lines = [
            f"{self.image}: {parts} bytes",
            f"stack: {deepest} and {entry.FATAL_BYTES} for a last report of {entry.STACK_BYTES} bytes a hart, "
            f"{entry.MAX_HARTS} harts",
        ]
        return "\n".join(lines + [f"  {use}" for use in self.stacks])


@lru_cache(maxsize=1)
def build_firmware() -> Firmware:
    """Builds it, or finds it in the cache. ELF file and image have one name, with .elf and .bin behind it."""
    made = build.build_object([boot, join, trap, fatal, firmware_panic], "riscv64", optimize="-Os")
    start = build.compile_assembly(entry.text(), "riscv64")
    parts = [LINKER_SCRIPT, start.read_bytes(), made.path.read_bytes(), build.compiler()[1]]

    def link(output: Path) -> None:
        script = output.with_suffix(".ld")
        script.write_text(LINKER_SCRIPT)
        build.link([start, made.path], "riscv64", output, ("-T", str(script), "-z", "max-page-size=4096"))

    elf = build.cached(parts, ".elf", link)
    parsed = Elf(elf.read_bytes())
    image = build.cached(parts, ".bin", lambda output: output.write_bytes(parsed.flat()) and None)
    borders = ("image_start", "text_end", "rodata_end", "data_end", "bss_end", "image_end")
    names = ("text", "rodata", "data", "bss", "stacks")
    at = [parsed.symbols[name] for name in borders]
    sizes = {name: end - begin for name, (begin, end) in zip(names, pairwise(at), strict=True)}
    return Firmware(image, elf, sizes | {"file": image.stat().st_size}, tuple(stack.report(made)))
