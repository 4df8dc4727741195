"""Programs in user mode on QEMU: the first program starts another, and messages cross between their address spaces."""

import re

from kernel import image
from tests.kernel.boot.machine import Machine

QEMU = "qemu-system-riscv64 -M virt -m 128 -display none -monitor none -nodefaults -serial stdio -no-reboot".split()


def test_ipcbench_measures_calls_between_two_address_spaces():
    kernel = image.build("riscv64").path
    with Machine([*QEMU, "-kernel", str(kernel), "-append", "user"]) as machine:
        machine.expect("init: running in user mode", 30)
        text = machine.expect("service calls", 60)
    rows = re.findall(r"^  (call|reply|null)[^\n]*?(\d+) +(\d+) +(\d+)$", text, re.M)
    assert [name for name, *_ in rows] == ["call", "reply", "null"]
    for _, low, median, high in rows:
        assert 0 < int(low) <= int(median) <= int(high)
