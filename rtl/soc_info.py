"""What a configuration builds, for people and for scripts: memory map, interrupts, ISA string, options."""

from dataclasses import asdict
from typing import Any

from rtl import memory_map
from rtl.device_tree import isa_extensions, isa_string
from rtl.soc import SocConfig


def soc_info(config: SocConfig) -> dict[str, Any]:
    """All of it as plain data, ready for JSON."""
    options = asdict(config)
    options["boot_rom"] = f"{len(config.boot_rom)} bytes"
    return {
        "isa": isa_string(config.core),
        "isa_extensions": list(isa_extensions(config.core)),
        "timebase_hz": memory_map.TIMEBASE_HZ,
        "memory_map": [
            {"name": region.name, "base": region.base, "size": _size(region, config), "doc": region.doc}
            for region in memory_map.REGIONS
        ],
        "interrupts": {interrupt.name.lower(): interrupt.value for interrupt in memory_map.Interrupt},
        "config": options,
    }


def _size(region: memory_map.Region, config: SocConfig) -> int:
    return config.ram_bytes if region is memory_map.DRAM else region.size


def soc_text(config: SocConfig) -> str:
    """The same as a page of text."""
    info = soc_info(config)
    lines = [f"ISA         {info['isa']}", f"timebase    {info['timebase_hz']} Hz", "", "memory map"]
    for region in info["memory_map"]:
        end = region["base"] + region["size"] - 1
        lines.append(f"  {region['base']:#013x}..{end:#013x}  {region['name']:<15} {region['doc']}")
    lines += ["", "interrupts"]
    lines += [f"  {number:>3}  {name}" for name, number in info["interrupts"].items()]
    lines += ["", "configuration"]
    for name, value in info["config"].items():
        if isinstance(value, dict):
            lines += [f"  {name}.{key:<{19 - len(name)}} {item}" for key, item in value.items()]
        else:
            lines.append(f"  {name:<20} {value}")
    return "\n".join(lines) + "\n"
