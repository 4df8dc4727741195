"""`splax qemu`: the options of `splax run`, on the functional twin."""

import json
import sys
import time

from sim import boot
from sim.elf import read_file
from sim.errors import InputError
from sim.other_twins import OtherTwin
from sim.output import write_finished
from sim.twin import Twin

from .info import qemu_version
from .kernel import check_arch, default_kernel, images, write_iso
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
    check_arch(options.arch)
    ends = {"until": options.until, "timeout": options.timeout, "debugger": options.gdb}
    if options.gdb is not None:
        print(f"splax: waiting: splax gdb --connect {options.gdb}", file=sys.stderr)
    if options.arch == "riscv64":
        twin = Twin(soc_config(options), wants_signature=options.signature is not None, **ends)
        twin.check()
        lay_out(options, twin)
    else:
        twin = OtherTwin(soc_config(options), arch=options.arch, bios=options.bios, **ends)
        twin.check()
        lay_out_other(options, twin)
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
    twin.bios, twin.kernel = images(options)
    twin.initrd, twin.append = options.initrd, options.append
    boot.virt(ram, lambda chosen: bytes(1), bios=twin.bios, kernel=twin.kernel, initrd=twin.initrd, append=twin.append)


def lay_out_other(options: RunOptions, twin: OtherTwin) -> None:
    """Gives a machine of another architecture its images; what only ours has is refused."""
    for name, value in (("--elf", options.elf), ("--signature", options.signature)):
        if value:
            raise InputError(f"{name} is for bare-metal RISC-V programs", f"leave it out with --arch {options.arch}")
    for what, path in (("kernel", options.kernel), ("initrd", options.initrd)):
        if path:
            read_file(path, what)
    twin.initrd, twin.append = options.initrd, options.append
    if options.arch == "x86_64" and options.bios in ("uefi", "grub"):
        if options.kernel or options.initrd:
            raise InputError(f"--bios {options.bios} boots our kernel's disc image", "leave out --kernel and --initrd")
        twin.disc = twin.directory / "splax.iso"
        write_iso(options.arch, twin.disc, options.append)
        return
    twin.kernel, twin.ours = options.kernel or default_kernel(options.arch), options.kernel is None
