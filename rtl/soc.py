"""The whole SoC: QEMU's `virt` machine around one core.

    core ibus, dbus, dma ---> AXI4 crossbar ---> dram port
                                  |
                                  +-----------> bridge ---> register bus: boot ROM, finisher, RTC, CLINT, PLIC, UART,
                                                            flash, PCIe configuration and memory windows

Everything is chosen in `SocConfig`; addresses and interrupt numbers come from `rtl.memory_map`.
"""

from dataclasses import dataclass, field

from amaranth.hdl import Cat, Const, Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from rtl import memory_map
from rtl.bus import axi4
from rtl.bus.address_map import Window
from rtl.bus.copy_engine import CopyEngine
from rtl.bus.crossbar import Crossbar, Manager
from rtl.bus.dma import DmaPort
from rtl.bus.register_bridge import RegisterBridge
from rtl.cpu_riscv64.config import CoreConfig
from rtl.cpu_riscv64.csr import csr_values_layout
from rtl.cpu_riscv64.interfaces import Rvfi, events_layout
from rtl.memory_map import Interrupt, Region
from rtl.periph.boot_rom import BootRom, reset_vector
from rtl.periph.clint import Clint
from rtl.periph.empty_window import EmptyWindow
from rtl.periph.finisher import Finisher, FinishSignature
from rtl.periph.flash import Flash
from rtl.periph.pcie.config_header import HOST_BRIDGE, ConfigHeader
from rtl.periph.pcie.ecam import Ecam, function_name
from rtl.periph.pcie.memory_windows import MemoryWindows
from rtl.periph.plic import Plic
from rtl.periph.rtc import Rtc
from rtl.periph.uart import Uart

WIRED_INTERRUPTS = tuple(Interrupt)
"""Sources with a gateway in the PLIC, by number."""

CORE_MANAGERS = (Manager("ibus", id_width=1, read_only=True), Manager("dbus", id_width=2))
DMA_MANAGER = Manager("dma", id_width=1, reaches=("dram",))

DMA_ID_WIDTH = 4
"""AXI4 identifier bits at the port `dma`."""

DEVICES = tuple(region for region in memory_map.REGIONS if region is not memory_map.DRAM)
"""What is behind the register bridge."""


def _window(region: Region, name: str | None = None) -> Window:
    return Window(region.base, region.size, name or region.name)


def _crossbar(config: "SocConfig") -> Crossbar:
    """DRAM is one subordinate; all other addresses go to the bridge, which refuses what is not there."""
    managers = [*CORE_MANAGERS, *([DMA_MANAGER] if config.dma else [])]
    return Crossbar(
        managers=managers,
        windows=[_window(memory_map.DRAM)],
        elsewhere="registers",
        addr_width=config.core.pa_width,
    )


@dataclass(frozen=True)
class SocConfig:
    """Options of the SoC.

    clock_hz     nominal clock: how many cycles make a second of mtime, RTC and UART time. Low by default: firmware that
                 waits two seconds then waits two million simulated cycles
    ram_bytes    default RAM size, for the device tree; the hardware takes RAM's end from the port `ram_end`
    core         options of the core
    dma          build the DMA manager port
    copy_engine  build the copy engine, a test device, behind the DMA port too; its interrupt is PLIC source 8
    boot_rom     contents of the boot ROM, if nobody replaces them before reset is released
    """

    clock_hz: int = 1_000_000
    ram_bytes: int = 128 << 20
    core: CoreConfig = field(default_factory=CoreConfig)
    dma: bool = False
    copy_engine: bool = False
    boot_rom: bytes = reset_vector()

    def __post_init__(self) -> None:
        if self.clock_hz < 10_000:
            raise ValueError(f"clock_hz must be 10 kHz or more, not {self.clock_hz!r}")
        if self.copy_engine and not self.dma:
            raise ValueError("copy_engine needs dma: it copies through the DMA port")
        if self.ram_bytes < 1 << 20 or self.ram_bytes % 4096 or self.ram_bytes > memory_map.DRAM.size:
            raise ValueError(
                f"ram_bytes must be whole pages from 1 MiB to {memory_map.DRAM.size >> 20} MiB, not {self.ram_bytes!r}"
            )


class Soc(wiring.Component):
    """The SoC.

    Parameters
    ----------
    config : SocConfig
    core : wiring.Component or None
        Stands in for the core (same ports as `rtl.cpu_riscv64.core.Core`), for tests of the SoC by its buses.

    Members
    -------
    dram : Out(axi4)
        External memory; addresses are physical (DRAM starts at 0x8000_0000).
    uart_tx : Out(stream(8)), uart_rx : In(stream(8))
        The console's bytes, before serialisation.
    uart_busy, uart_overrun : In(1)
        From the serialiser: it is still sending; it lost a received byte. 0 where there is none.
    uart_divisor : Out(16), uart_line_control : Out(8)
        For the serialiser: the 16550's divisor latch and LCR.
    finish : Out(FinishSignature)
        What software wrote to the test finisher.
    rtc_time : In(64)
        Nanoseconds since 1970-01-01 at the moment reset is released; constant while running.
    ram_end : In(36)
        First address behind DRAM; constant while running.
    virtio_interrupts : In(8)
        Level interrupts; bit n is PLIC source 1 + n.
    pci_interrupts : In(4)
        INTA..INTD at the host bridge (level); bit n is PLIC source 32 + n.
    mtime : Out(64)
        The timer, 10 MHz.
    events, retire, exception, pc, privilege, csrs : Out
        For statistics and status: the core's events, an instruction retires or raises an exception, its address, the
        current mode, what the CSRs hold.
    store_valid, store_address, store_data, store_mask : Out
        The core's: a store to DRAM commits. The simulation follows memory by it, whatever the caches hold.
    rvfi : Out(Rvfi)
        Only with config.core.rvfi.
    dma : In(axi4)
        A coherent manager from outside; only with config.dma.
    """

    def __init__(self, config: SocConfig, *, core: wiring.Component | None = None):
        if not isinstance(config, SocConfig):
            raise TypeError(f"config must be a SocConfig, not {config!r}")
        self.config = config
        self._core = core
        self._crossbar = _crossbar(config)
        pa_width = config.core.pa_width
        dram = axi4.Signature(addr_width=pa_width, data_width=64, id_width=self._crossbar.subordinate_id_width)
        members = {
            "dram": Out(dram),
            "uart_tx": Out(stream.Signature(8)),
            "uart_rx": In(stream.Signature(8)),
            "uart_busy": In(1),
            "uart_overrun": In(1),
            "uart_divisor": Out(16),
            "uart_line_control": Out(8),
            "finish": Out(FinishSignature()),
            "rtc_time": In(64),
            "ram_end": In(pa_width),
            "virtio_interrupts": In(8),
            "pci_interrupts": In(4),
            "mtime": Out(64),
            "events": Out(events_layout()),
            "retire": Out(1),
            "exception": Out(1),
            "csrs": Out(csr_values_layout(config.core)),
            "pc": Out(64),
            "privilege": Out(2),
            "store_valid": Out(1),
            "store_address": Out(pa_width),
            "store_data": Out(64),
            "store_mask": Out(8),
        }
        if config.core.rvfi:
            members["rvfi"] = Out(Rvfi())
        if config.dma:
            members["dma"] = In(axi4.Signature(addr_width=pa_width, data_width=64, id_width=DMA_ID_WIDTH))
        super().__init__(members)

    @property
    def dma_identifiers(self) -> range:
        """AXI4 identifiers at the port `dram` of what devices do; the core's are others. Empty without config.dma."""
        return self._crossbar.identifiers("dma") if self.config.dma else range(0)

    def _make_core(self) -> wiring.Component:
        if self._core is not None:
            return self._core
        from rtl.cpu_riscv64.core import Core

        return Core(self.config.core)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config

        m.submodules.core = core = self._make_core()
        m.submodules.crossbar = crossbar = self._crossbar
        m.submodules.bridge = bridge = RegisterBridge(
            devices=[
                _window(region) for region in (*DEVICES, *([memory_map.COPY_ENGINE] if config.copy_engine else []))
            ],
            addr_width=config.core.pa_width,
            id_width=crossbar.subordinate_id_width,
        )
        m.submodules.boot_rom = boot_rom = BootRom(contents=config.boot_rom)
        m.submodules.finisher = finisher = Finisher()
        m.submodules.rtc = rtc = Rtc(clock_hz=config.clock_hz)
        m.submodules.clint = clint = Clint(clock_hz=config.clock_hz)
        m.submodules.plic = plic = Plic(sources=WIRED_INTERRUPTS)
        m.submodules.uart = uart = Uart(clock_hz=config.clock_hz)
        m.submodules.flash = flash = Flash()
        m.submodules.ecam = ecam = Ecam(functions=[(0, 0)])
        m.submodules.host_bridge = host_bridge = ConfigHeader(HOST_BRIDGE)
        m.submodules.pcie_memory = pcie_memory = MemoryWindows(bars={})
        m.submodules.pcie_io = pcie_io = EmptyWindow(addr_width=16)

        # Managers
        wiring.connect(m, core.ibus, crossbar.ibus)
        wiring.connect(m, core.dbus, crossbar.dbus)
        copy_interrupt = Const(0, 1)
        if config.dma:
            device = wiring.flipped(self.dma)
            id_width = DMA_ID_WIDTH
            if config.copy_engine:
                m.submodules.copy_engine = copy_engine = CopyEngine(addr_width=config.core.pa_width)
                m.submodules.dma_arbiter = arbiter = Crossbar(
                    managers=[Manager("outside", id_width=DMA_ID_WIDTH), Manager("copy_engine")],
                    windows=[Window(0, 1 << config.core.pa_width, "shared")],
                    addr_width=config.core.pa_width,
                )
                wiring.connect(m, device, arbiter.outside)
                wiring.connect(m, copy_engine.bus, arbiter.copy_engine)
                wiring.connect(m, bridge.copy_engine, copy_engine.registers)
                device, id_width = arbiter.shared, arbiter.subordinate_id_width
                copy_interrupt = copy_engine.interrupt
            m.submodules.dma = dma = DmaPort(config=config.core, id_width=id_width)
            wiring.connect(m, device, dma.device)
            wiring.connect(m, dma.bus, crossbar.dma)
            wiring.connect(m, dma.probe, core.probe)

        # Subordinates
        wiring.connect(m, crossbar.dram, wiring.flipped(self.dram))
        wiring.connect(m, crossbar.registers, bridge.bus)
        for region, port in (
            (memory_map.BOOT_ROM, boot_rom.bus),
            (memory_map.FINISHER, finisher.bus),
            (memory_map.RTC, rtc.bus),
            (memory_map.CLINT, clint.bus),
            (memory_map.PCIE_IO, pcie_io.bus),
            (memory_map.PLIC, plic.bus),
            (memory_map.UART, uart.bus),
            (memory_map.FLASH, flash.bus),
            (memory_map.PCIE_ECAM, ecam.bus),
            (memory_map.PCIE_MMIO, pcie_memory.low),
            (memory_map.PCIE_MMIO_HIGH, pcie_memory.high),
        ):
            wiring.connect(m, getattr(bridge, region.name), port)
        wiring.connect(m, getattr(ecam, function_name(0)), host_bridge.bus)

        # Interrupts and time
        lines = {
            Interrupt.UART: uart.interrupt,
            Interrupt.RTC: rtc.interrupt,
            **{Interrupt(Interrupt.VIRTIO_0 + n): self.virtio_interrupts[n] for n in range(7)},
            Interrupt.VIRTIO_7: self.virtio_interrupts[7] | copy_interrupt,
            **{Interrupt(Interrupt.PCI_A + n): self.pci_interrupts[n] for n in range(4)},
        }
        m.d.comb += [
            plic.lines.eq(Cat(lines[source] for source in WIRED_INTERRUPTS)),
            core.external_interrupt_m.eq(plic.external[0]),
            core.external_interrupt_s.eq(plic.external[1]),
            core.software_interrupt.eq(clint.software_interrupt),
            core.timer_interrupt.eq(clint.timer_interrupt),
            core.time.eq(clint.time),
            core.ram_end.eq(self.ram_end),
            rtc.initial_time.eq(self.rtc_time),
            self.mtime.eq(clint.time),
        ]

        # The outside
        wiring.connect(m, uart.tx, wiring.flipped(self.uart_tx))
        wiring.connect(m, wiring.flipped(self.uart_rx), uart.rx)
        wiring.connect(m, finisher.finish, wiring.flipped(self.finish))
        m.d.comb += [
            uart.tx_busy.eq(self.uart_busy),
            uart.rx_overrun.eq(self.uart_overrun),
            self.uart_divisor.eq(uart.divisor),
            self.uart_line_control.eq(uart.line_control),
            self.events.eq(core.events),
            self.retire.eq(core.retire),
            self.pc.eq(core.pc),
            self.privilege.eq(core.privilege),
        ]
        for name in ("store_valid", "store_address", "store_data", "store_mask", "exception", "csrs"):
            if name in core.signature.members:
                m.d.comb += getattr(self, name).eq(getattr(core, name))
        if config.core.rvfi:
            wiring.connect(m, core.rvfi, wiring.flipped(self.rvfi))
        return m
