"""The PCI memory windows: accesses find the BAR that lies where they go."""

from collections.abc import Mapping

from amaranth.hdl import Const, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl import memory_map
from rtl.bus import register_bus

LOW, HIGH = memory_map.PCIE_MMIO, memory_map.PCIE_MMIO_HIGH
ADDRESS_WIDTH = HIGH.end.bit_length() - 1


class MemoryWindows(wiring.Component):
    """Both memory windows. What no BAR claims reads as all ones; writes there do nothing (as on QEMU).

    Parameters
    ----------
    bars : mapping of str to int
        Name -> size in bytes (a power of two) of each BAR.

    Members
    -------
    low, high : In(register_bus)
        The 32-bit and the 64-bit window; one access at a time in both together.
    <name>_base : In(64)
        Where the BAR lies.
    <name>_enable : In(1)
        It answers (the function's command.memory_space).
    <name> : Out(register_bus)
        What is behind it.
    """

    def __init__(self, *, bars: Mapping[str, int]):
        self.bars = dict(bars)
        members = {
            "low": In(register_bus.Signature(addr_width=(LOW.size - 1).bit_length())),
            "high": In(register_bus.Signature(addr_width=(HIGH.size - 1).bit_length())),
        }
        for name, size in self.bars.items():
            if size < 16 or size & (size - 1):
                raise ValueError(f"BAR {name!r}: size must be a power of two from 16, not {size!r}")
            members[f"{name}_base"] = In(64)
            members[f"{name}_enable"] = In(1)
            members[name] = Out(register_bus.Signature(addr_width=size.bit_length() - 1))
        super().__init__(members)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        valid = self.low.valid | self.high.valid
        done = Signal()
        read_data = Signal(64)
        error = Signal()
        m.d.comb += [done.eq(valid), read_data.eq((1 << 64) - 1)]
        for port in (self.low, self.high):
            m.d.comb += [
                port.done.eq(port.valid & done),
                port.read_data.eq(read_data),
                port.error.eq(error),
            ]
        if not self.bars:
            return m

        from_high = self.high.valid
        address = Signal(ADDRESS_WIDTH)
        m.d.comb += address.eq(
            Mux(from_high, Const(HIGH.base, ADDRESS_WIDTH) | self.high.address, LOW.base | self.low.address)
        )
        for name, size in self.bars.items():
            port = getattr(self, name)
            low = size.bit_length() - 1
            m.d.comb += [
                port.write.eq(Mux(from_high, self.high.write, self.low.write)),
                port.address.eq(address[:low]),
                port.mask.eq(Mux(from_high, self.high.mask, self.low.mask)),
                port.write_data.eq(Mux(from_high, self.high.write_data, self.low.write_data)),
            ]
            base = getattr(self, f"{name}_base")
            with m.If(getattr(self, f"{name}_enable") & (address[low:] == base[low:])):
                m.d.comb += [
                    port.valid.eq(valid),
                    done.eq(port.done),
                    read_data.eq(port.read_data),
                    error.eq(port.error),
                ]
        return m
