"""The end of the machine: ACPI's soft-off state, and its reset register (ACPI 6.5, 4.8.3.2.1 and 4.8.3.6)."""

from typing import Never

from kernel.acpi_tables import AddressSpace
from kernel.arch.x86_64 import cpu
from kernel.arch.x86_64.instructions import read_port_8, read_port_16, spin_hint, write_port_8, write_port_16
from kernel.arch.x86_64.platform import platform
from kernel.lang import *

SCI_ENABLE, SLEEP_ENABLE, SLEEP_TYPE_SHIFT, SLEEP_TYPE_MASK = 1 << 0, 1 << 13, 10, 7 << 10  # PM1 control
PATIENCE = 1 << 16
RESET_CONTROL = 0xCF9  # ICH9 13.7.6: full reset, CPU reset
FULL_RESET, FULL_RESET_GO = 0x02, 0x06
KEYBOARD_COMMAND, INPUT_FULL, PULSE_RESET = 0x64, 1 << 1, 0xFE
TEST_EXIT = 0xF4  # QEMU's isa-debug-exit, where it is configured: ends QEMU with status value * 2 + 1.


@fn
def wait_a_little() -> None:
    """Time for hardware to do what it was told."""
    for _ in range(PATIENCE):
        spin_hint()


@fn
def sleep(port: u16, sleep_type: u8) -> None:
    """Writes SLP_TYP, then SLP_EN, to one PM1 control register."""
    value = read_port_16(port) & ~u16(SLEEP_TYPE_MASK) | u16(sleep_type) << SLEEP_TYPE_SHIFT
    write_port_16(port, value)
    write_port_16(port, value | SLEEP_ENABLE)


@fn
def power_off(code: u16) -> Never:
    """Ends the machine. ACPI knows no reason for it; under QEMU with isa-debug-exit at 0xF4 a `code` is its status."""
    cpu.disable_interrupts()
    if code != 0:
        write_port_8(TEST_EXIT, trunc(code, u8))
    if platform.has_s5 and platform.pm1a_control != 0:
        if read_port_16(platform.pm1a_control) & SCI_ENABLE == 0 and platform.smi_command != 0:
            write_port_8(platform.smi_command, platform.acpi_enable)  # 4.8.3.2.1: hand-over from firmware.
            wait_a_little()
        sleep(platform.pm1a_control, platform.sleep_type_a)
        if platform.pm1b_control != 0:
            sleep(platform.pm1b_control, platform.sleep_type_b)
        wait_a_little()
    cpu.halt()


@fn
def reboot() -> Never:
    """Starts the machine again: FADT's reset register, then what PCs have besides, then a triple fault."""
    cpu.disable_interrupts()
    if platform.has_reset and platform.reset_space == u8(AddressSpace.SYSTEM_IO):
        write_port_8(trunc(platform.reset_address, u16), platform.reset_value)
        wait_a_little()
    write_port_8(RESET_CONTROL, FULL_RESET)
    write_port_8(RESET_CONTROL, FULL_RESET_GO)
    wait_a_little()
    for _ in range(PATIENCE):
        if read_port_8(KEYBOARD_COMMAND) & INPUT_FULL == 0:
            break
    write_port_8(KEYBOARD_COMMAND, PULSE_RESET)
    wait_a_little()
    cpu.halt()
