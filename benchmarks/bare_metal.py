"""Builds bare-metal programs for the benchmarks with the product's compiler, outside the tree."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

COMMON = (
    "-target riscv64-freestanding-none -mabi=lp64 -mcmodel=medany -nostdlib -static "
    "-fno-asynchronous-unwind-tables -fno-sanitize=all"
).split()
PORT = Path(__file__).resolve().parent / "coremark_port"


def compile_program(arguments: Sequence[str], output: Path) -> Path:
    """Compiles and links; gives `output`. Raises RuntimeError with what the compiler said."""
    command = [sys.executable, "-m", "ziglang", "cc", *COMMON, *arguments, "-Wl,-T," + str(PORT / "link.ld")]
    done = subprocess.run([*command, "-o", str(output)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"zig cc failed:\n{done.stderr[-2000:]}")
    return output
