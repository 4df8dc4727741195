"""A function's configuration header (type 0): who it is, what it may do, where its BARs are.

The registers are described in `rtl.registers.pci`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from amaranth.hdl import Cat, Const, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl.bus import register_bus
from rtl.registers import pci
from rtl.registers.decoder import RegisterDecoder, layout

from .ecam import FUNCTION_WIDTH

HEADER_END = 0x40


@dataclass(frozen=True)
class Bar:
    """A memory range that a function asks for.

    size          bytes, a power of two from 16
    wide          a 64-bit BAR: it takes the next one's place too
    prefetchable  reads have no side effects
    """

    size: int
    wide: bool = False
    prefetchable: bool = False

    def __post_init__(self) -> None:
        if self.size < 16 or self.size & (self.size - 1):
            raise ValueError(f"a BAR's size must be a power of two from 16, not {self.size!r}")


@dataclass(frozen=True)
class Identity:
    """What never changes of a header.

    class_code            24 bits: base class, subclass, programming interface
    interrupt_pin         1 = INTA .. 4 = INTD, 0 = none
    bars                  number (0..5) -> Bar
    capabilities_pointer  offset of the first capability, 0 for none
    express               configuration space has 4096 bytes, not 256: the rest reads as zero and not as ones
    """

    vendor_id: int
    device_id: int
    class_code: int
    revision_id: int = 0
    subsystem_vendor_id: int = 0x1AF4
    subsystem_id: int = 0x1100
    interrupt_pin: int = 0
    multifunction: bool = False
    bars: Mapping[int, Bar] = field(default_factory=dict)
    capabilities_pointer: int = 0
    express: bool = False

    def __post_init__(self) -> None:
        if self.interrupt_pin not in range(5):
            raise ValueError(f"interrupt_pin must be 0..4, not {self.interrupt_pin!r}")
        for number, bar in self.bars.items():
            if number not in range(pci.BARS) or (bar.wide and number + 1 >= pci.BARS):
                raise ValueError(f"there is no place for BAR {number}: {bar!r}")
            if bar.wide and number + 1 in self.bars:
                raise ValueError(f"BAR {number} is 64 bits wide and takes the place of BAR {number + 1}")
        if self.capabilities_pointer and self.capabilities_pointer not in range(HEADER_END, 0x100, 4):
            raise ValueError(
                f"capabilities_pointer must be a multiple of 4 from 0x40, not {self.capabilities_pointer:#x}"
            )


HOST_BRIDGE = Identity(vendor_id=0x1B36, device_id=0x0008, class_code=0x06_00_00)
"""The host bridge on bus 0, device 0: the IDs that QEMU's has."""


class ConfigHeader(wiring.Component):
    """Configuration space of one function.

    A BAR answers a write of all ones with its size, and lies where software puts it; it is out of service until
    command.memory_space is set. Behind the header a device without capabilities reads as zero.

    Parameters
    ----------
    identity : Identity

    Members
    -------
    bus : In(register_bus)
        Configuration accesses.
    command : Out
        The COMMAND register.
    interrupt : In(1)
        The function wants its INTx line.
    intx : Out(1)
        The line: `interrupt`, unless disabled.
    bar_<n>_base : Out(64)
        Address of BAR n.
    capabilities : Out(register_bus)
        Accesses behind the header (0x40 on), only with a capabilities_pointer.
    """

    def __init__(self, identity: Identity):
        self.identity = identity
        members = {
            "bus": In(register_bus.Signature(addr_width=FUNCTION_WIDTH)),
            "command": Out(layout(pci.Registers.command)),
            "interrupt": In(1),
            "intx": Out(1),
            **{f"bar_{n}_base": Out(64) for n in identity.bars},
        }
        if identity.capabilities_pointer:
            members["capabilities"] = Out(register_bus.Signature(addr_width=FUNCTION_WIDTH))
        super().__init__(members)

    def _bar(self, m: Module, registers: RegisterDecoder, number: int, bar: Bar) -> None:
        base = Signal(64, name=f"bar_{number}")
        halves = [getattr(registers, f"bar_{number + n}") for n in range(2 if bar.wide else 1)]
        writable = ~(bar.size - 1) & ((1 << 32 * len(halves)) - 1)
        kind = (0b100 if bar.wide else 0) | (0b1000 if bar.prefetchable else 0)
        for n, half in enumerate(halves):
            bits = slice(32 * n, 32 * n + 32)
            enable = Cat(byte.replicate(8) for byte in half.write_bytes) & Const((writable >> 32 * n) & 0xFFFF_FFFF, 32)
            with m.If(half.write):
                m.d.sync += base[bits].eq((base[bits] & ~enable) | (half.write_value & enable))
            m.d.comb += half.value.eq(base[bits] | (kind if n == 0 else 0))
        m.d.comb += getattr(self, f"bar_{number}_base").eq(base)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        identity = self.identity
        m.submodules.registers = registers = RegisterDecoder(pci.Registers, addr_width=FUNCTION_WIDTH)
        wiring.connect(m, wiring.flipped(self.bus), registers.bus)

        m.d.comb += [
            registers.vendor_id.value.eq(identity.vendor_id),
            registers.device_id.value.eq(identity.device_id),
            registers.revision_id.value.eq(identity.revision_id),
            registers.programming_interface.value.eq(identity.class_code & 0xFF),
            registers.subclass.value.eq((identity.class_code >> 8) & 0xFF),
            registers.base_class.value.eq(identity.class_code >> 16),
            registers.header_type.value.eq(pci.HEADER_TYPE_MULTIFUNCTION if identity.multifunction else 0),
            registers.subsystem_vendor_id.value.eq(identity.subsystem_vendor_id),
            registers.subsystem_id.value.eq(identity.subsystem_id),
            registers.capabilities_pointer.value.eq(identity.capabilities_pointer),
            registers.interrupt_pin.value.eq(identity.interrupt_pin),
            registers.status.value.capabilities_list.eq(identity.capabilities_pointer != 0),
            registers.status.value.interrupt_status.eq(self.interrupt),
            self.command.eq(registers.command.value),
            self.intx.eq(self.interrupt & ~self.command.interrupt_disable),
        ]
        for number, bar in identity.bars.items():
            self._bar(m, registers, number, bar)

        behind = self.bus.address >= HEADER_END
        with m.If(self.bus.address[8:] != 0):
            m.d.comb += [
                self.bus.error.eq(0),
                self.bus.read_data.eq(0 if identity.express else (1 << 64) - 1),
            ]
        if identity.capabilities_pointer:
            capabilities = self.capabilities
            served = behind if identity.express else behind & (self.bus.address[8:] == 0)
            m.d.comb += [
                capabilities.write.eq(self.bus.write),
                capabilities.address.eq(self.bus.address),
                capabilities.mask.eq(self.bus.mask),
                capabilities.write_data.eq(self.bus.write_data),
            ]
            with m.If(served):
                m.d.comb += [
                    registers.bus.valid.eq(0),
                    capabilities.valid.eq(self.bus.valid),
                    self.bus.done.eq(capabilities.done),
                    self.bus.read_data.eq(capabilities.read_data),
                    self.bus.error.eq(capabilities.error),
                ]
        return m
