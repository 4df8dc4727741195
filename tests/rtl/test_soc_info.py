"""What `splax info` prints of the hardware."""

import json

from rtl.cpu_riscv64.config import CoreConfig
from rtl.memory_map import REGIONS, Interrupt, pci_interrupt
from rtl.soc import SocConfig
from rtl.soc_info import soc_info, soc_text


def test_info_is_json_and_says_what_is_configured() -> None:
    config = SocConfig(ram_bytes=64 << 20, core=CoreConfig(btb_sets=64))
    info = json.loads(json.dumps(soc_info(config)))
    assert info["isa"].startswith("rv64imac_zicsr_zifencei")
    assert info["config"]["core"]["btb_sets"] == 64
    regions = {region["name"]: region for region in info["memory_map"]}
    assert regions["uart"] == {"name": "uart", "base": 0x1000_0000, "size": 0x100, "doc": regions["uart"]["doc"]}
    assert regions["dram"]["size"] == 64 << 20
    assert info["interrupts"]["uart"] == 10 and info["interrupts"]["pci_a"] == 32


def test_text_names_every_region_interrupt_and_option() -> None:
    text = soc_text(SocConfig())
    for word in (
        *(region.name for region in REGIONS),
        *(i.name.lower() for i in Interrupt),
        "clock_hz",
        "core.btb_sets",
    ):
        assert word in text


def test_regions_are_in_order_and_apart() -> None:
    for one, other in zip(REGIONS, REGIONS[1:], strict=False):
        assert one.end <= other.base


def test_pci_interrupts_are_swizzled_by_device_number() -> None:
    assert [pci_interrupt(0, pin) for pin in range(1, 5)] == [32, 33, 34, 35]
    assert [pci_interrupt(device, 1) for device in range(6)] == [32, 33, 34, 35, 32, 33]
