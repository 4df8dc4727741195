"""Builds the firmware: `python -m firmware --out FILE` writes the raw image, and says what is in it.

The image starts at DRAM's base (fw_dynamic: the loader enters it there). Its region, which PMP protects and the device
tree reserves, is the power of two from there that holds text, data, .bss and the harts' stacks.
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from elftools.elf.elffile import ELFFile

from firmware.boot import boot, join
from firmware.trap import fatal, firmware_panic, trap
from kernel.arch.riscv64.machine_mode import entry
from kernel.lang import build, stack
from kernel.lang.stack import StackUse
from rtl.memory_map import DRAM_BASE

LINKER_SCRIPT = f"""
ENTRY(_start)
PHDRS {{ text PT_LOAD FLAGS(5); data PT_LOAD FLAGS(6); }}
SECTIONS {{
    . = {DRAM_BASE:#x};
    firmware_start = .;
    .text : {{ KEEP(*(.text.start)) *(.text .text.*) }} :text
    .rodata : {{ *(.rodata .rodata.*) *(.srodata .srodata.*) }} :text
    . = ALIGN(16);
    .data : {{ *(.data .data.*) *(.sdata .sdata.*) }} :data
    . = ALIGN(16);
    bss_start = .;
    .bss (NOLOAD) : {{ *(.bss .bss.*) *(.sbss .sbss.*) *(COMMON) . = ALIGN(16); }} :data
    bss_end = .;
    firmware_stacks = .;
    . += {entry.MAX_HARTS * entry.STACK_BYTES};
    firmware_end = .;
}}
"""


@dataclass(frozen=True)
class Firmware:
    """A built firmware: the raw image, the ELF file for debuggers, sizes in bytes, and stack use of every entry."""

    image: Path
    elf: Path
    text: int
    data: int
    bss: int
    stacks: tuple[StackUse, ...]

    def report(self) -> str:
        """Sizes and stack use, in a few lines."""
        deepest = max(use.bytes + entry.FRAME_BYTES * (use.entry == "firmware_trap") for use in self.stacks)
        lines = [
            f"{self.image}: {self.image.stat().st_size} bytes: text {self.text}, data {self.data}, bss {self.bss}",
            f"stack: {deepest} of {entry.STACK_BYTES} bytes a hart, {entry.MAX_HARTS} harts",
        ]
        return "\n".join(lines + [f"  {use}" for use in self.stacks])


@lru_cache(maxsize=1)
def build_firmware() -> Firmware:
    """Builds it, or finds it in the cache."""
    made = build.build_object([boot, join, trap, fatal, firmware_panic], "riscv64", optimize="-Os")
    start = build.compile_assembly(entry.text(), "riscv64")
    parts = [LINKER_SCRIPT, start.read_bytes(), made.path.read_bytes(), build.compiler()[1]]

    def link(output: Path) -> None:
        script = output.with_suffix(".ld")
        script.write_text(LINKER_SCRIPT)
        build.link([start, made.path], "riscv64", output, ("-T", str(script), "-z", "max-page-size=4096"))

    elf = build.cached(parts, ".elf", link)
    flatten = lambda output: build.run_zig(["objcopy", "-O", "binary", str(elf), str(output)])  # noqa: E731
    image = build.cached([*parts, "binary"], ".bin", flatten)
    with elf.open("rb") as file:
        sizes = {section.name: section["sh_size"] for section in ELFFile(file).iter_sections()}
    text = sizes[".text"] + sizes.get(".rodata", 0)
    return Firmware(image, elf, text, sizes.get(".data", 0), sizes.get(".bss", 0), tuple(stack.report(made)))
