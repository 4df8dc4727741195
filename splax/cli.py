"""The commands. Thin: what they do is in sim/, boards/ and the modules beside this one."""

import importlib
import inspect
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from sim.errors import InputError, SplaxError
from sim.machine import MEMORY_LATENCY

from .options import RunOptions, parse_size

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None)

CLOCK = RunOptions.__dataclass_fields__["clock"].default

BiosOption = Annotated[
    str,
    typer.Option(
        help="Firmware: a file, `splax` (ours), `opensbi` (Debian's), `none`, or `default`: ours for our kernel, "
        "OpenSBI for another. Other machines: a file, `uefi`, x86_64 `grub`."
    ),
]
KernelOption = Annotated[Path | None, typer.Option(help="Kernel: ELF, uImage or raw image. Default: ours.")]
InitrdOption = Annotated[Path | None, typer.Option(help="Initial RAM disk.")]
AppendOption = Annotated[
    str, typer.Option(help="Kernel command line; ours heeds `monitor`: a prompt of its own, without programs.")
]
ElfOption = Annotated[Path | None, typer.Option(help="Bare-metal ELF64, started in M-mode at its entry.")]
RamOption = Annotated[str, typer.Option(help="RAM: MiB, or with K, M, G.")]
MaxCyclesOption = Annotated[int | None, typer.Option(help="Stop after so many cycles, status 124.")]
TimeoutOption = Annotated[float | None, typer.Option(help="Stop after so many seconds, status 124.")]
UntilOption = Annotated[str | None, typer.Option(help="Stop with status 0 when the console prints this.")]
StatsOption = Annotated[Path | None, typer.Option(help="Write counts and times, as JSON.")]
SignatureOption = Annotated[Path | None, typer.Option(help="Write begin_signature..end_signature, 32-bit hex words.")]
TraceOption = Annotated[Path | None, typer.Option(help="Write a line for every retired instruction.")]
WaveOption = Annotated[Path | None, typer.Option(help="Write waves (FST).")]
WaveFromOption = Annotated[int, typer.Option(help="First cycle of the waves.")]
WaveToOption = Annotated[int | None, typer.Option(help="Cycle behind the last of the waves.")]
ClockOption = Annotated[int, typer.Option(help="Nominal clock in Hz: cycles that make a second of the machine's time.")]
LatencyOption = Annotated[int, typer.Option(help="Memory latency in cycles.")]
RestoreOption = Annotated[Path | None, typer.Option(help="Start from a checkpoint.")]
GdbOption = Annotated[str | None, typer.Option(help="Wait for `splax gdb` here: a port, or a path for a socket.")]
ArchOption = Annotated[str, typer.Option(help="Machine: riscv64 (ours), aarch64 or x86_64.")]
CheckpointOption = Annotated[Path | None, typer.Option(help="Write a checkpoint at the end.")]


def _options(
    bios: BiosOption = "default",
    kernel: KernelOption = None,
    initrd: InitrdOption = None,
    append: AppendOption = "",
    elf: ElfOption = None,
    ram: RamOption = "128M",
    max_cycles: MaxCyclesOption = None,
    timeout: TimeoutOption = None,
    until: UntilOption = None,
    stats: StatsOption = None,
    signature: SignatureOption = None,
    trace: TraceOption = None,
    wave: WaveOption = None,
    wave_from: WaveFromOption = 0,
    wave_to: WaveToOption = None,
    clock: ClockOption = CLOCK,
    latency: LatencyOption = MEMORY_LATENCY,
    restore: RestoreOption = None,
    checkpoint: CheckpointOption = None,
    gdb: GdbOption = None,
) -> RunOptions:
    values: Any = dict(locals(), ram=parse_size(ram))
    return RunOptions(**values)


def _running_command(name: str, module: str, doc: str, *, machines: bool = False) -> None:
    """`run` and `qemu` take the same options, those of `_options`; `machines`: of several architectures."""

    def command(arch: str = "riscv64", **values: Any) -> None:
        run: Callable[[RunOptions], int] = importlib.import_module(f"splax.{module}").run
        raise typer.Exit(run(replace(_options(**values), arch=arch)))

    signature, annotations = inspect.signature(_options), dict(_options.__annotations__)
    if machines:
        choice = inspect.Parameter("arch", inspect.Parameter.KEYWORD_ONLY, default="riscv64", annotation=ArchOption)
        signature = signature.replace(parameters=[*signature.parameters.values(), choice])
        annotations["arch"] = ArchOption
    command.__signature__ = signature  # type: ignore[attr-defined]
    command.__annotations__ = annotations
    app.command(name, help=doc)(command)


_running_command(
    "run", "run", "Runs software on the simulated SoC, with its console on this terminal (Ctrl-A x leaves)."
)
_running_command(
    "qemu",
    "twin",
    "Runs the same on the functional twin, `qemu-system-riscv64 -M virt`, or on another architecture's machine. "
    "Without a kernel: ours.",
    machines=True,
)


@app.command("build-kernel")
def build_kernel(
    arch: Annotated[str, typer.Option(help="riscv64, x86_64 or aarch64.")],
    out: Annotated[Path | None, typer.Option(help="Write the boot file here, and beside it its ELF file.")] = None,
    iso: Annotated[Path | None, typer.Option(help="x86_64: write a GRUB disc image for BIOS and UEFI.")] = None,
    append: AppendOption = "",
    verbose: Annotated[bool, typer.Option("--verbose", help="Also say what needs the stack.")] = False,
) -> None:
    """Builds the kernel's image; says how large it is, what stack it needs, and who will hold what."""
    from .kernel import build, check_arch, check_iso, write_iso

    check_arch(arch)
    if iso is None and append:
        raise InputError("--append is for the disc image's command line", "name the image with --iso")
    if iso is not None:
        check_iso(arch, iso)
    print(build(arch, out, verbose))
    if iso is not None:
        print(write_iso(arch, iso, append))


@app.command("build-firmware")
def build_firmware(
    out: Annotated[Path | None, typer.Option(help="Write the raw image (fw_dynamic, for --bios).")] = None,
    elf: Annotated[Path | None, typer.Option(help="Write the ELF file, for debuggers.")] = None,
) -> None:
    """Builds our machine-mode firmware; says its sizes and the stack that every entry needs."""
    from .kernel import write_firmware

    write_firmware(out, elf)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def gdb(
    context: typer.Context,
    connect: Annotated[str, typer.Option(help="The port or socket that --gdb was given.")] = "1234",
    arch: Annotated[str, typer.Option(help="Whose kernel it is: riscv64, x86_64 or aarch64.")] = "riscv64",
    elf: Annotated[Path | None, typer.Option(help="ELF file of what runs, if it is not our kernel.")] = None,
    symbols: Annotated[list[Path] | None, typer.Option(help="Further ELF files, such as the firmware's.")] = None,
) -> None:
    """Attaches gdb to `splax qemu --gdb` or `splax run --gdb`, with Python sources; further arguments are gdb's."""
    from .gdb import run

    raise typer.Exit(run(connect, arch, elf, symbols or [], context.args))


@app.command()
def info() -> None:
    """Says what is built: memory map, interrupts, ISA, configuration, versions."""
    from .info import text

    print(text())


@app.command()
def bench(
    only: Annotated[str | None, typer.Option(help="Rows to measure: part of their names.")] = None,
    fpga: Annotated[bool, typer.Option(help="Synthesis for the ECP5-85F too: half an hour.")] = False,
    coremark: Annotated[Path | None, typer.Option(help="Directory of EEMBC's CoreMark sources.")] = None,
) -> None:
    """Measures every row of the speed table, prints it beside its bars, and appends to the history."""
    from .bench import run as run_bench

    raise typer.Exit(run_bench(only=only, fpga=fpga, coremark=coremark))


@app.command()
def setup() -> None:
    """Checks that everything the project needs is installed; names the Debian packages that are not."""
    from .setup import check

    raise typer.Exit(check())


def main() -> None:
    """Entry point: every foreseen failure is one line on standard error, and exit status 2."""
    try:
        status = app(standalone_mode=False, prog_name="splax")
    except SplaxError as error:
        _fail(str(error))
    except typer.Exit as leaving:
        sys.exit(leaving.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except Exception as error:
        if hasattr(error, "format_message"):  # a usage error
            name = getattr(getattr(error, "ctx", None), "command_path", None) or "splax"
            _fail(f"{error.format_message().splitlines()[0].rstrip('.')}; see `{name} --help`")  # type: ignore[attr-defined]
        raise
    sys.exit(status if isinstance(status, int) else 0)


def _fail(message: str) -> None:
    print(f"splax: error: {message}", file=sys.stderr)
    sys.exit(2)
