"""Compiles and links the firmware: what firmware/image.py starts when something has changed.

The image starts at DRAM's base (fw_dynamic: the loader enters it there). Its region, which PMP protects and the device
tree reserves, is the power of two from there that holds text, data, .bss and the harts' stacks.
"""

import shutil
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

from firmware.boot import boot, join
from firmware.image import ELF, IMAGE, Firmware, place
from firmware.trap import fatal, firmware_panic, trap
from kernel import manifest
from kernel.arch.riscv64.machine_mode import entry
from kernel.image import Elf
from kernel.lang import CompileError, build, stack
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


def _report(image: Path, sizes: dict[str, int], stacks: list[StackUse]) -> str:
    """Sizes and stack use, in a few lines."""
    deepest = max(use.bytes + entry.FRAME_BYTES * (use.entry == "firmware_trap") for use in stacks)
    parts = ", ".join(f"{name} {size}" for name, size in sizes.items())
    lines = [
        f"{image}: {parts} bytes",
        f"stack: {deepest} and {entry.FATAL_BYTES} for a last report of {entry.STACK_BYTES} bytes a hart, "
        f"{entry.MAX_HARTS} harts",
    ]
    return "\n".join(lines + [f"  {use}" for use in stacks])


def compile_firmware() -> Firmware:
    """The firmware of the sources as they are in this process; each part comes from the compiler's cache."""
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
    sizes["file"] = image.stat().st_size
    return Firmware(image, elf, sizes, _report(image, sizes, stack.report(made)))


def child() -> None:
    """The build, in a process of its own."""

    def make(scratch: Path) -> dict[str, Any]:
        made = compile_firmware()
        shutil.copyfile(made.image, scratch / IMAGE)
        shutil.copyfile(made.elf, scratch / ELF)
        return {"sizes": made.sizes, "report": made.report.replace(str(made.image), str(place() / IMAGE))}

    manifest.report("compiling")
    try:
        manifest.keep(place(), (IMAGE, ELF), make)
    except (CompileError, build.ToolError) as error:
        sys.exit(str(error))
