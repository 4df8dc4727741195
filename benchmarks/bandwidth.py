"""Sequential read bandwidth from DRAM into the core: eight loads a line, a cold mebibyte, in bytes a cycle."""

import tempfile
from pathlib import Path

from sim.machine import Machine

from .bare_metal import compile_program

BYTES = 1 << 20
START = 0x8010_0000
LATENCY = 20

PROGRAM = f"""
.globl _start
_start:
    li s0, {START}
    li s1, {START + BYTES}
    csrr s2, mcycle
1:
{"".join(f"    ld t0, {offset}(s0){chr(10)}" for offset in range(0, 64, 8))}
    addi s0, s0, 64
    bltu s0, s1, 1b
    csrr s3, mcycle
    sub s3, s3, s2
    la t0, cycles
    sd s3, 0(t0)
    li t0, 0x100000
    li t1, 0x5555
    sw t1, 0(t0)
2:  j 2b
.data
.balign 8
.globl cycles
cycles: .dword 0
"""


def read_bytes_per_cycle() -> float:
    """Measures."""
    with tempfile.TemporaryDirectory() as directory:
        source = Path(directory) / "bandwidth.S"
        source.write_text(PROGRAM)
        program = compile_program(["-mcpu=generic_rv64+m+a+c", str(source)], Path(directory) / "bandwidth.elf")
        with Machine(latency=LATENCY) as machine:
            machine.load_elf(program)
            outcome = machine.run(cycles=10 * BYTES)
            if outcome.status:
                raise RuntimeError(f"the bandwidth program did not end: {outcome.reason.value}, {machine.where()}")
            return BYTES / machine.memory.read_word(machine.address("cycles"))
