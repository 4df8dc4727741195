"""System reset (SBI 2.0 chapter 10), by the test finisher."""

from typing import Never

from firmware.sbi import Error, Reset
from kernel.arch.riscv64.machine_mode import instructions, memory
from kernel.lang import *
from rtl.registers import sifive_test

FAILURE_CODE = 1


@fn
def shut_down(failed: bool) -> Never:
    """Powers off; a simulation ends with status 0, or FAILURE_CODE."""
    finisher = memory.finisher()
    if failed:
        finisher.finish.write(command=sifive_test.Command.FAIL, code=FAILURE_CODE)
    else:
        finisher.finish.write(command=sifive_test.Command.PASS)
    while True:
        instructions.wait_for_interrupt()


@fn
def reset(kind: u32, reason: u32) -> u64:
    """system_reset; returns only when it refuses."""
    if kind > Reset.WARM_REBOOT or reason > Reset.SYSTEM_FAILURE:
        return Error.INVALID_PARAM
    if kind == Reset.SHUTDOWN:
        shut_down(reason == Reset.SYSTEM_FAILURE)
    memory.finisher().finish.write(command=sifive_test.Command.RESET)
    return Error.FAILED
