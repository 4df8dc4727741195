"""`splax qemu`: the options of `splax run`, on the functional twin."""

import json
import sys
import time

from sim import boot
from sim.errors import InputError
from sim.output import write_finished
from sim.twin import Twin

from .info import qemu_version
from .options import RunOptions, soc_config
from .run import check_writable, hex_words


def run(options: RunOptions) -> int:
    """Runs; gives the exit status."""
    for name, value in (
        ("--trace", options.trace),
        ("--wave", options.wave),
        ("--restore", options.restore),
        ("--checkpoint", options.checkpoint),
    ):
        if value:
            raise InputError(f"{name} is the simulated hardware's; the twin has none", "use `splax run`")
    if options.max_cycles is not None:
        print("splax: the twin counts no cycles: --max-cycles is ignored, --timeout is not", file=sys.stderr)
    check_writable(options)
    twin = Twin(
        soc_config(options),
        until=options.until,
        timeout=options.timeout,
        wants_signature=options.signature is not None,
        debugger=options.gdb,
    )
    if options.gdb is not None:
        print(f"splax: waiting: splax gdb --connect {options.gdb}", file=sys.stderr)
    lay_out(options, twin)
    start = time.monotonic()
    status = twin.run()
    if options.signature:
        if twin.signature is None:
            raise InputError(
                "the twin ended before its memory could be read: no signature", "end the program by tohost"
            )
        write_finished(options.signature, hex_words(twin.signature))
    if options.stats:
        result = {
            "status": status,
            "ended_by": twin.ended_by,
            "wall_seconds": time.monotonic() - start,
            "qemu": qemu_version(),
        }
        write_finished(options.stats, json.dumps(result, indent=2) + "\n")
    return status


def lay_out(options: RunOptions, twin: Twin) -> None:
    """Gives the twin its images, after the checks that the simulator makes."""
    ram = options.ram
    if options.elf:
        layout, elf = boot.bare_metal(ram, lambda chosen: bytes(1), options.elf)
        if options.signature:
            for name in ("begin_signature", "end_signature"):
                if name not in elf.symbols.addresses:
                    raise InputError(f"there is no symbol {name!r} in {options.elf}")
        twin.elf = options.elf
        return
    default = not (options.kernel or options.bios != "default" or options.initrd or options.append)
    twin.kernel = boot.default_kernel() if default else options.kernel
    twin.bios = str(boot.default_firmware()) if options.bios == "default" else options.bios
    twin.initrd, twin.append = options.initrd, options.append
    boot.virt(ram, lambda chosen: bytes(1), bios=twin.bios, kernel=twin.kernel, initrd=twin.initrd, append=twin.append)
