"""The only place for assembly and raw addresses: one folder an architecture, with the same modules in each.

Everything else in the kernel writes `from kernel.arch import console, cpu` and gets the modules of the architecture
that this process builds for. A process builds for one: `select("aarch64")` before the first such import, or the
environment variable KERNEL_ARCH; otherwise riscv64, whose Python models are what runs on the host under pytest.

What an architecture provides (with parentheses: kernel functions; the rest are Python values):

- `layout`      KERNEL_BASE, PHYSICAL_BASE, DIRECT_MAP, DEVICE_WINDOW, DEVICE_WINDOW_END, PAGE_BYTES, IMAGE_ALIGN;
                LINKER, how the image is linked (`kernel.link`)
- `entry`       ASSEMBLY, text: headers, entry `_start`, vectors, `kernel_panic`; ROOTS, functions that assembly calls;
                `pack(flat, symbols)`, Python that makes the boot file
- `boot`        boot_info, filled before `kernel_main(info)` is called
- `trap`        TrapFrame, every register: the save area of a thread
- `paging`      initialize(info): W^X tables, guard pages, direct map; map_device(physical, bytes) -> usize;
                virtual(physical), physical(virtual)
- `console`     initialize(info), write_byte(byte), read_byte() -> u16 (NO_BYTE when none waits), enable_interrupt()
- `interrupts`  initialize(info): the controller; dispatch(): what a trap calls for an external interrupt
- `timer`       initialize(info), now() -> u64 in ticks, set_deadline(ticks)
- `cpu`         halt() -> Never, wait_for_interrupt(), enable_interrupts(), disable_interrupts(), and for backtraces
                is_frame(fp), frame_return(fp), frame_link(fp)
- `power`       power_off(code) -> Never, reboot() -> Never

Memory, the same on all: the image is linked at KERNEL_BASE (the last 2 GiB of the address space, where x86_64's kernel
code model needs it) and runs wherever the loader put it, at a multiple of IMAGE_ALIGN; RAM is mapped from DIRECT_MAP
on, writable and not executable (the image's text and rodata are read-only there too); devices get windows in
DEVICE_WINDOW; the lower half belongs to user address spaces.

A trap saves every register into the TrapFrame that the hart's scratch register points to: the current thread's save
area while user code runs, none while the kernel runs. One kernel stack a hart, empty whenever user code runs, with
guard pages and a second stack, on which panics run: an overflow is a panic like any other.
"""

import importlib
import os
from types import ModuleType
from typing import TYPE_CHECKING

ARCHITECTURES = ("riscv64", "x86_64", "aarch64")
MODULES = ("layout", "entry", "boot", "trap", "paging", "console", "interrupts", "timer", "cpu", "power")

if TYPE_CHECKING:
    from kernel.arch.riscv64 import boot, console, cpu, entry, layout, power, trap

    __all__ = ["boot", "console", "cpu", "entry", "layout", "power", "trap"]


def check(name: str) -> str:
    """The name, or an error that lists what there is."""
    if name not in ARCHITECTURES:
        raise ValueError(f"unknown architecture {name!r}: use one of {', '.join(ARCHITECTURES)}")
    return name


selected = check(os.environ.get("KERNEL_ARCH", "riscv64"))
_used = False


def select(name: str) -> None:
    """Chooses the architecture of this process."""
    global selected
    if check(name) != selected and _used:
        raise RuntimeError(f"this process already built for {selected}: build for {name} in a process of its own")
    selected = name


def __getattr__(name: str) -> ModuleType:
    global _used
    if name not in MODULES:
        raise AttributeError(f"kernel.arch has no module {name!r}: it has {', '.join(MODULES)}")
    _used = True
    try:
        return importlib.import_module(f"kernel.arch.{selected}.{name}")
    except AttributeError as error:  # which `from kernel.arch import ...` would swallow
        raise RuntimeError(f"kernel.arch.{selected}.{name}: {error}") from error
