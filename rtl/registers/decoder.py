"""From a register description to gates: address decoding, storage, read multiplexer, strobes.

    device logic <--- port per register ---> RegisterDecoder <--- register bus

A register that software alone changes lives in the decoder (`value` comes out). A volatile register, or an array, lives
in the device: it sees strobes and gives the value on a read.
"""

from functools import reduce
from operator import or_

from amaranth.hdl import Cat, Const, Module, Mux, Signal, ValueLike
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from rtl.bus import register_bus
from rtl.registers.description import Register, RegisterFile


def layout(register: Register) -> data.Layout | int:
    """The shape of a register's value: a layout with its fields, or plain bits."""
    if not register.fields:
        return register.width
    return data.FlexibleLayout(
        register.width, {name: data.Field(field.width, field.lsb) for name, field in register.fields.items()}
    )


def in_device(register: Register) -> bool:
    """Whether the device, and not the decoder, holds the register."""
    return register.volatile or bool(register.array)


class RegisterPort(wiring.Signature):
    """One register as the device sees it (`Out` on the decoder). Strobes come in the cycle the access ends.

    Members
    -------
    value : Out or In
        The register's value: out of the decoder that holds it, or from the device that does (counted during `read`).
    read, write : Out(1)
        Software reads, writes the register in this cycle.
    write_value : Out
        What software writes; a register in the decoder shows the new value in `value` one cycle later.
    write_bytes : Out
        Bytes of `write_value` that are written.
    index_0, index_1 : Out
        Arrays only: which element.
    """

    def __init__(self, register: Register):
        shape = layout(register)
        members = {
            "value": In(shape) if in_device(register) else Out(shape, init=register_init(register)),
            "read": Out(1),
            "write": Out(1),
            "write_value": Out(shape),
            "write_bytes": Out(register.bytes),
        }
        for n, dimension in enumerate(register.array):
            members[f"index_{n}"] = Out(range(dimension.count))
        super().__init__(members)


def register_init(register: Register) -> int | dict[str, int]:
    """The reset value as an initialiser of its layout."""
    if not register.fields:
        return register.reset
    return {name: field.get(register.reset) for name, field in register.fields.items()}


class RegisterDecoder(wiring.Component):
    """Serves a register file on the register bus.

    An access of a size that the file does not answer, behind its end, or to a gap of a file with gaps="error" is
    refused. All registers touched by one access see it in the same cycle.

    Parameters
    ----------
    file : type[RegisterFile]
        The description.
    addr_width : int
        Address bits of the device's window.

    Members
    -------
    bus : In(register_bus)
        The accesses.
    ready : In(1), reset value 1
        The device can finish the access in this cycle; held low it waits.
    refuse : In(1)
        The device refuses the access (no strobes appear then).
    address : Out(addr_width)
        Byte address of the first byte accessed.
    <register> : Out(RegisterPort)
        One port a register, under the register's name.
    """

    def __init__(self, file: type[RegisterFile], *, addr_width: int):
        if 1 << addr_width < file.size:
            raise ValueError(f"addr_width must reach {file.size:#x} bytes, not {addr_width!r}")
        self.file = file
        self.addr_width = addr_width
        reserved = {"bus", "ready", "refuse", "address"} & set(file.registers())
        if reserved:
            raise ValueError(f"{file.__module__}: register names {sorted(reserved)} are the decoder's own")
        super().__init__(
            {
                "bus": In(register_bus.Signature(addr_width=addr_width)),
                "ready": In(1, init=1),
                "refuse": In(1),
                "address": Out(addr_width),
                **{name: Out(RegisterPort(register)) for name, register in file.registers().items()},
            }
        )

    def _bank_open(self, register: Register) -> ValueLike:
        if register.bank is None:
            return Const(1)
        selector, field, value = register.bank
        return getattr(self, selector).value[field] == value

    def _select(self, m: Module, register: Register) -> tuple[ValueLike, ValueLike]:
        """Whether the access touches the register, and which of its bytes."""
        bus = self.bus
        row_bits = 3
        if not register.array:
            lane = register.offset % 8
            lanes = bus.mask[lane : lane + register.bytes]
            row = bus.address[row_bits:] == register.offset >> row_bits
            return row & lanes.any() & self._bank_open(register), lanes

        # Elements of an array are told apart by the address of the first byte, so one access reaches one element.
        port = getattr(self, register.name)
        inside = Const(1)
        offset = Signal(self.addr_width, name=f"{register.name}_offset")
        m.d.comb += offset.eq(self.address - register.offset)
        for n, dimension in enumerate(register.array):
            if dimension.stride & (dimension.stride - 1):
                raise ValueError(f"{register.name}: the stride of an array must be a power of two")
            low = dimension.stride.bit_length() - 1
            high = self.addr_width if n == 0 else register.array[n - 1].stride.bit_length() - 1
            number = offset[low:high]
            m.d.comb += getattr(port, f"index_{n}").eq(number)
            inside &= number < dimension.count
            rest = low
        lanes = Mux(self.address[2], bus.mask[4:8], bus.mask[0:4]) if register.bytes == 4 else bus.mask
        if register.bytes not in (4, 8):
            raise ValueError(f"{register.name}: arrays are of 32 or 64 bits")
        gap = offset[register.bytes.bit_length() - 1 : rest]
        return (self.address >= register.offset) & inside & (gap == 0) & lanes.any(), lanes

    def elaborate(self, platform: object) -> Module:
        m = Module()
        bus = self.bus
        file = self.file

        first_lane = Signal(3)
        for lane in reversed(range(8)):
            with m.If(bus.mask[lane]):
                m.d.comb += first_lane.eq(lane)
        m.d.comb += self.address.eq(Cat(first_lane, bus.address[3:]))

        patterns = [((1 << size) - 1) << lane for size in file.access_bytes for lane in range(0, 8, size)]
        refused = Signal()
        size_known = Signal()
        m.d.comb += size_known.eq(reduce(or_, (bus.mask == pattern for pattern in patterns)))

        accepted = Signal()
        m.d.comb += accepted.eq(bus.valid & self.ready & ~refused & ~self.refuse)
        read_parts = []
        touched = []
        for name, register in file.registers().items():
            port = getattr(self, name)
            selected = Signal(name=f"{name}_selected")
            hit, lanes = self._select(m, register)
            wide_lane = 0 if register.array else register.offset % 8
            m.d.comb += [
                selected.eq(hit),
                port.read.eq(accepted & ~bus.write & selected),
                port.write.eq(accepted & bus.write & selected),
                port.write_bytes.eq(lanes),
            ]
            lane_data = bus.write_data[8 * wide_lane : 8 * wide_lane + register.width]
            if register.array and register.bytes == 4:
                lane_data = Mux(self.address[2], bus.write_data[32:64], bus.write_data[0:32])
            m.d.comb += port.write_value.eq(lane_data)
            value = port.value if isinstance(port.value, Signal) else port.value.as_value()
            if not in_device(register):
                changed = Const(register.writable_mask, register.width)
                if register.bytes > min(file.access_bytes):
                    changed &= Cat(enable.replicate(8) for enable in port.write_bytes)
                with m.If(port.write):
                    m.d.sync += value.eq((value & ~changed) | (lane_data & changed))
            if register.access.readable:
                part = Mux(selected, value, 0)
                read_parts.append(Cat(part, part) if register.array and register.bytes == 4 else part << 8 * wide_lane)
            touched.append(selected)

        m.d.comb += bus.read_data.eq(reduce(or_, read_parts, Const(0, 64)))
        behind = bus.address >= file.size if file.size < 1 << self.addr_width else Const(0)
        if file.size % 8:
            behind |= (bus.address == file.size - file.size % 8) & bus.mask[file.size % 8 :].any()
        if file.gaps == "error":
            m.d.comb += refused.eq(~size_known | behind | ~reduce(or_, touched))
        else:
            m.d.comb += refused.eq(~size_known | behind)
            if file.gaps == "ones":
                with m.If(~reduce(or_, touched)):
                    m.d.comb += bus.read_data.eq((1 << 64) - 1)
        m.d.comb += [
            bus.done.eq(bus.valid & self.ready),
            bus.error.eq(refused | self.refuse),
        ]
        return m
