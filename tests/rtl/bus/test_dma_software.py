"""DMA is coherent as software sees it: a bare-metal program and the copy engine, on the whole SoC."""

import subprocess
import sys
from pathlib import Path

from rtl import memory_map
from rtl.registers.copy_engine import Registers
from rtl.soc import SocConfig
from sim.machine import Machine, Reason

SOURCE = Path(__file__).with_name("coherence.c")
TARGET = "-target riscv64-freestanding-none -mcpu=generic_rv64+m+a+c -mabi=lp64 -mcmodel=medany"
FLAGS = "-O1 -ffreestanding -fno-asynchronous-unwind-tables -fno-sanitize=all -nostdlib -static"
LINKER_SCRIPT = """
ENTRY(_start)
SECTIONS {
  . = 0x80000000;
  .text : { *(.text.start) *(.text*) }
  .data : { *(.rodata*) *(.data*) *(.sdata*) }
  .bss : { *(.bss*) *(.sbss*) *(COMMON) }
  /DISCARD/ : { *(.comment) *(.riscv.attributes) *(.eh_frame*) }
}
"""


def test_software_and_a_dma_device_see_each_others_writes(tmp_path):
    seed = 0x5EED
    print(f"seed {seed}")
    registers = {name.upper(): register.offset for name, register in Registers.registers().items()}
    constants = {
        "ENGINE": memory_map.COPY_ENGINE.base,
        "FINISHER": memory_map.FINISHER.base,
        "SEED": seed,
        "ROUNDS": 30,
        **registers,
    }
    script, program = tmp_path / "link.ld", tmp_path / "coherence.elf"
    script.write_text(LINKER_SCRIPT)
    defines = [f"-D{name}={value:#x}" for name, value in constants.items()]
    command = [sys.executable, "-m", "ziglang", "cc", *TARGET.split(), *FLAGS.split(), *defines]
    subprocess.run([*command, f"-Wl,-T,{script}", str(SOURCE), "-o", str(program)], check=True)

    with Machine(SocConfig(ram_bytes=8 << 20, dma=True, copy_engine=True)) as machine:
        machine.load_elf(program)
        outcome = machine.run(cycles=5_000_000)
        assert (outcome.reason, outcome.status) == (Reason.FINISH, 0), f"{outcome}; {machine.where()}"
        source, destination = (machine.memory.read(machine.address(name), 4096) for name in ("source", "destination"))
        assert destination[3:4003] == source[3:4003], "memory from outside is not what the device wrote"
        assert (destination[:3], destination[4003:]) != (source[:3], source[4003:])
