"""The whole SoC: QEMU's `virt` machine around one core.

    core ibus, dbus, dma ---> AXI4 crossbar ---> dram port
                                  |
                                  +-----------> bridge ---> register bus: boot ROM, finisher, RTC, CLINT, PLIC, UART,
                                                            flash, PCIe configuration and memory windows

Everything is chosen in `SocConfig`; addresses and interrupt numbers come from `rtl.memory_map`.
"""

from dataclasses import dataclass, field

from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from rtl import memory_map
from rtl.bus import axi4
from rtl.cpu_riscv64.config import CoreConfig
from rtl.cpu_riscv64.interfaces import Rvfi, events_layout
from rtl.periph.finisher import FinishSignature

DRAM_ID_WIDTH = 4
"""AXI4 identifier bits at the DRAM port: the manager's identifier and which manager it is."""


@dataclass(frozen=True)
class SocConfig:
    """Options of the SoC.

    clock_hz     nominal clock: how many cycles make a second of mtime, RTC and UART time. Low by default: firmware that
                 waits two seconds then waits two million simulated cycles
    ram_bytes    default RAM size, for the device tree; the hardware takes RAM's end from the port `ram_end`
    core         options of the core
    dma          build the DMA manager port
    """

    clock_hz: int = 1_000_000
    ram_bytes: int = 128 << 20
    core: CoreConfig = field(default_factory=CoreConfig)
    dma: bool = False

    def __post_init__(self) -> None:
        if self.clock_hz < 10_000:
            raise ValueError(f"clock_hz must be 10 kHz or more, not {self.clock_hz!r}")
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
    events, retire, pc, privilege : Out
        For statistics and status: the core's events, an instruction retires, its address, the current mode.
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
        pa_width = config.core.pa_width
        members = {
            "dram": Out(axi4.Signature(addr_width=pa_width, data_width=64, id_width=DRAM_ID_WIDTH)),
            "uart_tx": Out(stream.Signature(8)),
            "uart_rx": In(stream.Signature(8)),
            "finish": Out(FinishSignature()),
            "rtc_time": In(64),
            "ram_end": In(pa_width),
            "virtio_interrupts": In(8),
            "pci_interrupts": In(4),
            "mtime": Out(64),
            "events": Out(events_layout()),
            "retire": Out(1),
            "pc": Out(64),
            "privilege": Out(2),
        }
        if config.core.rvfi:
            members["rvfi"] = Out(Rvfi())
        if config.dma:
            members["dma"] = In(axi4.Signature(addr_width=pa_width, data_width=64, id_width=2))
        super().__init__(members)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        return m
