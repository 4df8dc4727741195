"""The CSR table: consistent with itself, complete, and printable."""

import random

import pytest
from amaranth.sim import Simulator
from csr_model import EXISTING

from rtl.cpu_riscv64.config import CoreConfig
from rtl.cpu_riscv64.csr import CsrFile, csr_table, reference
from rtl.cpu_riscv64.csr.table import Source


@pytest.mark.parametrize("config", [CoreConfig(), CoreConfig(pmp_entries=0, asid_width=0, hpm_counters=29, hart_id=3)])
def test_addresses_and_fields_do_not_overlap(config):
    addresses = [address for csr in csr_table(config) for address in csr.addresses]
    assert len(addresses) == len(set(addresses))
    for csr in csr_table(config):
        mask = 0
        for field in csr.fields:
            assert mask & field.mask == 0 and field.mask < 1 << 64, f"{csr.name}.{field.name}"
            assert field.reset < 1 << field.width or not field.width
            mask |= field.mask


def test_the_table_lists_exactly_the_csrs_of_the_specification_that_the_core_has():
    assert {address for csr in csr_table(CoreConfig()) for address in csr.addresses} == EXISTING


def test_the_reference_names_every_csr_and_field():
    text = reference()
    for csr in csr_table(CoreConfig()):
        names = [name for _, name in csr.names()]
        assert names[0] in text and names[-1] in text
        for field in csr.fields:
            assert f"| {field.name} |" in text


def test_every_csr_reads_as_its_reset_value_after_reset():
    seed = random.getrandbits(32)
    print("seed", seed)
    dut = CsrFile(CoreConfig(hart_id=2))

    async def testbench(ctx):
        ctx.set(dut.look, 1)
        ctx.set(dut.access, 1)
        for csr in csr_table(CoreConfig(hart_id=2)):
            for address in csr.addresses:
                ctx.set(dut.prepare, 1)
                ctx.set(dut.prepare_address, address)
                ctx.set(dut.address, address)
                await ctx.tick().repeat(3)
                await ctx.delay(1e-9)
                if csr.source is not Source.PMP and csr.name not in ("mcycle", "cycle"):
                    assert ctx.get(dut.read_data) == csr.reset, csr.name

    sim = Simulator(dut)
    sim.add_clock(1e-6)
    sim.add_testbench(testbench)
    sim.run()
