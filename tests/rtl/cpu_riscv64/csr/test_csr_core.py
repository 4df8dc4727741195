"""The same program as in test_csr_qemu, on the whole core: CSR instructions through the pipeline, against QEMU."""

import random
import shutil

import pytest
from test_csr_qemu import (
    cases,
    parse,
    program,
    run_on_qemu,
    test_every_address_is_legal_in_the_modes_in_which_qemu_allows_it,
    test_every_write_reads_back_as_on_qemu,
)

from tests.lockstep.device import machine

SLICE, SLICES = 20_000, 2000


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    if not shutil.which("qemu-system-riscv64"):
        pytest.skip("qemu-system-riscv64 is not installed (Debian package qemu-system-misc)")
    seed = random.getrandbits(32)
    print("seed", seed)
    tests = list(cases(random.Random(seed)))
    folder = tmp_path_factory.mktemp("csr-core")
    theirs = run_on_qemu(program(tests), folder)
    core = machine()
    core.load_elf(folder / "csr.elf")
    for _ in range(SLICES):
        if core.step_native(SLICE):
            break
    else:
        pytest.fail(f"the program does not end: {core.where()}")
    core.console.collect()
    return tests, parse(theirs), parse(core.console.read())


__all__ = [
    "test_every_address_is_legal_in_the_modes_in_which_qemu_allows_it",
    "test_every_write_reads_back_as_on_qemu",
]
