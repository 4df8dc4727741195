"""From AXI4 to the register bus: the way to every peripheral that has registers.

One access at a time, three cycles a beat. Nothing here is on a path that counts: a line fetch from the boot ROM happens
a few dozen times, a register access waits for the device anyway. What counts is that the bridge costs nothing while it
is idle, for it and a dozen devices behind it are evaluated in every simulated cycle: every signal toward the devices
comes straight from a register.
"""

from collections.abc import Sequence
from functools import reduce
from operator import or_

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from . import axi4, register_bus
from .address_map import Window, check_windows, port_names
from .burst import lane_mask, next_address


def device_addr_width(window: Window) -> int:
    """Address bits of a device's register bus: offsets in its window."""
    return max(3, ceil_log2(window.size))


class RegisterBridge(wiring.Component):
    """AXI4 subordinate in front of several register-bus devices.

    Bursts of every kind are taken apart into single accesses. A beat outside every window answers DECERR, one that its
    device refuses answers SLVERR; a write burst answers with its first error. A beat of write data without strobes
    makes no access. Reads and writes that wait together take turns.

    Parameters
    ----------
    devices : list of Window
        One per device, with bus addresses; each becomes a port.
    addr_width, id_width : int
        As of `axi4.Signature`. The data width is 64.

    Members
    -------
    bus : In(axi4.Signature)
        The subordinate port.
    <device name> : Out(register_bus.Signature)
        Addresses are offsets in the device's window.
    """

    def __init__(self, *, devices: Sequence[Window], addr_width: int, id_width: int):
        self._devices = check_windows(devices, addr_width)
        names = port_names(devices)
        if len(names) != len(devices):
            raise ValueError(f"a device has one window, but a name appears twice: {[w.name for w in devices]}")
        if "bus" in names:
            raise ValueError("a device cannot be named 'bus', the bridge's own port")
        members = {"bus": In(axi4.Signature(addr_width=addr_width, data_width=64, id_width=id_width))}
        for device in devices:
            members[device.name] = Out(register_bus.Signature(addr_width=device_addr_width(device)))
        super().__init__(members)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        bus = self.bus
        ports = [getattr(self, device.name) for device in self._devices]

        request = Signal.like(bus.ar.payload)  # its address is that of the next beat
        address = Signal.like(request.addr)
        write = Signal()
        beats_left = Signal(8)
        mask = Signal(8)
        write_data = Signal(64)
        select = Signal(len(ports))  # one-hot; none while there is no access
        nothing = Signal()  # a beat of write data without strobes

        for index, (device, port) in enumerate(zip(self._devices, ports, strict=True)):
            m.d.comb += [
                port.valid.eq(select[index]),
                port.write.eq(write),
                port.mask.eq(mask),
                port.write_data.eq(write_data),
            ]
            offset = address[3 : len(port.address)]
            if device.base % (1 << len(port.address)):
                offset = (offset - (device.base >> 3) % (1 << len(offset)))[: len(offset)]
            m.d.comb += port.address[3:].eq(offset)

        response = Signal(axi4.Resp)
        last = Signal()
        m.d.comb += [
            bus.r.payload.id.eq(request.id),
            bus.r.payload.resp.eq(response),
            bus.r.payload.last.eq(last),
            bus.b.payload.id.eq(request.id),
            bus.b.payload.resp.eq(response),
        ]

        with m.FSM():
            with m.State("Wait for an address"):
                # `write` still tells the kind of the last transaction: the other kind goes first
                with m.If(bus.ar.valid & (write | ~bus.aw.valid)):
                    m.d.comb += bus.ar.ready.eq(1)
                    m.d.sync += [request.eq(bus.ar.payload), beats_left.eq(bus.ar.payload.len), write.eq(0)]
                    m.next = "Select the device"
                with m.Elif(bus.aw.valid):
                    m.d.comb += bus.aw.ready.eq(1)
                    m.d.sync += [request.eq(bus.aw.payload), beats_left.eq(bus.aw.payload.len), write.eq(1)]
                    m.next = "Select the device"
                m.d.sync += response.eq(axi4.Resp.OKAY)

            with m.State("Select the device"):
                with m.If(~write | bus.w.valid):
                    m.d.comb += bus.w.ready.eq(write)
                    with m.If(write):
                        m.d.sync += [mask.eq(bus.w.payload.strb), write_data.eq(bus.w.payload.data)]
                    with m.Else():
                        m.d.sync += mask.eq(lane_mask(m, request.addr, request.size))
                    silent = write & ~bus.w.payload.strb.any()
                    hits = Cat(device.contains(request.addr) for device in self._devices)
                    following = next_address(
                        m, request.addr, length=request.len, size=request.size, burst=request.burst
                    )
                    m.d.sync += [
                        nothing.eq(silent),
                        select.eq(hits & ~silent.replicate(len(ports))),
                        address.eq(request.addr),
                        request.addr.eq(following),
                    ]
                    m.next = "Access"

            with m.State("Access"):
                outside = ~select.any()
                with m.If((select & Cat(port.done for port in ports)).any() | outside):
                    m.d.sync += [select.eq(0), beats_left.eq(beats_left - 1), last.eq(beats_left == 0)]
                    with m.If(~write | (response == axi4.Resp.OKAY)):
                        with m.If((select & Cat(port.error for port in ports)).any()):
                            m.d.sync += response.eq(axi4.Resp.SLVERR)
                        with m.Elif(outside & ~nothing):
                            m.d.sync += response.eq(axi4.Resp.DECERR)
                        with m.Else():
                            m.d.sync += response.eq(axi4.Resp.OKAY)
                    chosen = [Mux(select[index], port.read_data, 0) for index, port in enumerate(ports)]
                    m.d.sync += bus.r.payload.data.eq(reduce(or_, chosen))
                    with m.If(write & (beats_left != 0)):
                        m.next = "Select the device"
                    with m.Else():
                        m.next = "Respond"

            with m.State("Respond"):
                m.d.comb += [bus.b.valid.eq(write), bus.r.valid.eq(~write)]
                with m.If(Mux(write, bus.b.ready, bus.r.ready)):
                    with m.If(last):
                        m.next = "Wait for an address"
                    with m.Else():
                        m.next = "Select the device"
        return m
