"""The SoC as the native harness sees it: flat ports of at most 64 bits, every one of them registered towards the SoC.

The harness evaluates the design once a cycle, so no output may depend on an input within the cycle, and logic behind
an input would be evaluated twice. Streams that enter pass a register slice, plain inputs a register; ready inputs of
the DRAM port are tied high, because the harness always has room.
"""

# pyright: reportAttributeAccessIssue=false
# (ports get their names at run time)

from typing import Any

from amaranth.hdl import Module, Shape, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

CHANNEL_FIELDS = {
    "aw": ("id", "addr", "len", "size", "burst"),
    "w": ("data", "strb", "last"),
    "b": ("id", "resp"),
    "ar": ("id", "addr", "len", "size", "burst"),
    "r": ("id", "data", "resp", "last"),
}


class RegisterSlice(wiring.Component):
    """Two entries of a stream, so that neither direction has a combinational path and every cycle can carry an item.

    Parameters
    ----------
    shape
        Of the payload.

    Members
    -------
    i : In(stream)
        `ready` is a register.
    o : Out(stream)
        `valid` and `payload` are registers.
    """

    def __init__(self, shape: Any):
        super().__init__({"i": In(stream.Signature(shape)), "o": Out(stream.Signature(shape))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        spare = Signal.like(self.i.payload)
        spare_valid = Signal()
        m.d.comb += self.i.ready.eq(~spare_valid)
        with m.If(~self.o.valid | self.o.ready):
            m.d.sync += [
                self.o.valid.eq(spare_valid | self.i.valid),
                self.o.payload.eq(spare),
                spare_valid.eq(0),
            ]
            with m.If(~spare_valid):
                m.d.sync += self.o.payload.eq(self.i.payload)
        with m.Elif(~spare_valid):
            m.d.sync += [spare.eq(self.i.payload), spare_valid.eq(self.i.valid)]
        return m


def _width(shape: Any) -> int:
    return Shape.cast(shape).width


class SimTop(wiring.Component):
    """A SoC with the ports that sim/native/harness.cpp drives.

    Parameters
    ----------
    soc : wiring.Component
        `rtl.soc.Soc`, or anything with its ports.

    Members
    -------
    Named PORT_CHANNEL_FIELD for AXI4 (`dram_ar_addr`), PORT_valid, PORT_ready, PORT_payload for plain streams,
    `csr_NAME` for each CSR, and like the SoC's port otherwise. `dram_aw_by_device`: a device does this write, not the
    core; only with `dma`.
    `features` says which optional ones there are.
    """

    def __init__(self, soc: Any):
        self._soc = soc
        ports = soc.signature.members
        self.features = tuple(
            name for name, port in (("dma", "dma"), ("rvfi", "rvfi"), ("stores", "store_valid")) if port in ports
        )
        members: dict[str, Any] = {
            "uart_tx_valid": Out(1),
            "uart_tx_payload": Out(8),
            "uart_rx_valid": In(1),
            "uart_rx_payload": In(8),
            "uart_rx_ready": Out(1),
            "finish_valid": Out(1),
            "finish_reset": Out(1),
            "finish_code": Out(16),
            "rtc_time": In(64),
            "ram_end": In(_width(ports["ram_end"].shape)),
            "virtio_interrupts": In(8),
            "pci_interrupts": In(4),
            "mtime": Out(64),
            "events": Out(_width(ports["events"].shape)),
            "retire": Out(1),
            "exception": Out(1),
            "pc": Out(64),
            "privilege": Out(2),
        }
        members |= {f"csr_{name}": Out(64) for name in ports["csrs"].shape.members}
        members |= self._axi("dram", ports["dram"].signature, outward=True)
        if "dma" in self.features:
            members |= self._axi("dma", ports["dma"].signature, outward=False)
            members["dram_aw_by_device"] = Out(1)
        if "rvfi" in self.features:
            for name, member in ports["rvfi"].signature.members.items():
                members[f"rvfi_{name}"] = Out(_width(member.shape))
        if "stores" in self.features:
            for name in ("store_valid", "store_address", "store_data", "store_mask"):
                members[name] = Out(_width(ports[name].shape))
        super().__init__(members)

    @staticmethod
    def _axi(port: str, signature: Any, *, outward: bool) -> dict[str, Any]:
        """Flat members of an AXI4 port; `outward`: the SoC is the manager."""
        members: dict[str, Any] = {}
        for channel, fields in CHANNEL_FIELDS.items():
            payload = signature.members[channel].signature.members["payload"].shape
            out = outward == (channel in ("aw", "w", "ar"))
            members[f"{port}_{channel}_valid"] = Out(1) if out else In(1)
            if not out:
                members[f"{port}_{channel}_ready"] = Out(1)
            for field in fields:
                shape = _width(payload[field].shape)
                members[f"{port}_{channel}_{field}"] = Out(shape) if out else In(shape)
        return members

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.soc = soc = self._soc
        ports: Any = soc

        def observe(name: str, value: Any) -> None:
            m.d.comb += getattr(self, name).eq(value)

        def enter(name: str, fields: tuple[str, ...], port: Any) -> None:
            """An entering stream, through a slice."""
            shape = port.signature.members["payload"].shape
            m.submodules[f"{name}_slice"] = slice_ = RegisterSlice(shape)
            wiring.connect(m, slice_.o, port)
            m.d.comb += [
                slice_.i.valid.eq(getattr(self, f"{name}_valid")),
                getattr(self, f"{name}_ready").eq(slice_.i.ready),
            ]
            if fields:
                m.d.comb += [getattr(slice_.i.payload, field).eq(getattr(self, f"{name}_{field}")) for field in fields]
            else:
                m.d.comb += slice_.i.payload.eq(getattr(self, f"{name}_payload"))

        def leave(name: str, fields: tuple[str, ...], port: Any) -> None:
            """A leaving stream that always finds room."""
            m.d.comb += port.ready.eq(1)
            observe(f"{name}_valid", port.valid)
            for field in fields:
                value = getattr(port.payload, field)
                observe(f"{name}_{field}", value.as_value() if hasattr(value, "as_value") else value)

        for channel, fields in CHANNEL_FIELDS.items():
            into_soc = channel in ("b", "r")
            (enter if into_soc else leave)(f"dram_{channel}", fields, getattr(ports.dram, channel))
            if "dma" in self.features:
                (leave if into_soc else enter)(f"dma_{channel}", fields, getattr(ports.dma, channel))
        if "dma" in self.features:
            identifiers, identifier = soc.dma_identifiers, ports.dram.aw.payload.id
            observe("dram_aw_by_device", (identifier >= identifiers.start) & (identifier < identifiers.stop))

        m.d.comb += [
            ports.uart_tx.ready.eq(1),
            self.uart_tx_valid.eq(ports.uart_tx.valid),
            self.uart_tx_payload.eq(ports.uart_tx.payload),
        ]
        enter("uart_rx", (), ports.uart_rx)
        for name in ("valid", "reset", "code"):
            observe(f"finish_{name}", getattr(ports.finish, name))
        for name in ("rtc_time", "ram_end", "virtio_interrupts", "pci_interrupts"):
            register = Signal.like(getattr(self, name), name=f"{name}_register", reset_less=True)
            m.d.sync += register.eq(getattr(self, name))
            m.d.comb += getattr(ports, name).eq(register)
        for name in ("mtime", "retire", "exception", "pc", "privilege"):
            observe(name, getattr(ports, name))
        for name in ports.csrs.shape().members:
            observe(f"csr_{name}", ports.csrs[name])
        observe("events", ports.events.as_value())
        if "rvfi" in self.features:
            for name in soc.signature.members["rvfi"].signature.members:
                observe(f"rvfi_{name}", getattr(ports.rvfi, name))
        if "stores" in self.features:
            for name in ("store_valid", "store_address", "store_data", "store_mask"):
                observe(name, getattr(ports, name))
        return m
