"""From a register description to gates: address decoding, storage, read multiplexer, strobes.

    device logic <--- port per register ---> RegisterDecoder <--- register bus

A register that software alone changes lives in the decoder (`value` comes out). A volatile register, or an array, lives
in the device: it sees strobes and gives the value on a read.

An access takes two cycles, decode and act. What was decoded is kept in flip-flops that only change in that step, so
that an idle decoder switches nothing and costs a simulation next to nothing.
"""

from functools import reduce
from operator import or_

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
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
    """One register as the device sees it (`Out` on the decoder). Strobes come once an access, in the cycle it acts.

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
    answer_later : bool
        Build the port `hold`: the answer is kept until the device lets it go.

    Members
    -------
    bus : In(register_bus)
        The accesses.
    ready : In(1), reset value 1
        The device can act in this cycle; held low the access waits before it acts.
    refuse : In(1)
        The device refuses the access (no strobes appear then).
    hold : In(1)
        The access has acted, but the answer shall wait; only with `answer_later`.
    address : Out(addr_width)
        Byte address of the first byte accessed.
    <register> : Out(RegisterPort)
        One port a register, under the register's name.
    """

    def __init__(self, file: type[RegisterFile], *, addr_width: int, answer_later: bool = False):
        if 1 << addr_width < file.size:
            raise ValueError(f"addr_width must reach {file.size:#x} bytes, not {addr_width!r}")
        self.file = file
        self.addr_width = addr_width
        self.answer_later = answer_later
        reserved = {"bus", "ready", "refuse", "hold", "address"} & set(file.registers())
        if reserved:
            raise ValueError(f"{file.__module__}: register names {sorted(reserved)} are the decoder's own")
        super().__init__(
            {
                "bus": In(register_bus.Signature(addr_width=addr_width)),
                "ready": In(1, init=1),
                "refuse": In(1),
                **({"hold": In(1)} if answer_later else {}),
                "address": Out(addr_width),
                **{name: Out(RegisterPort(register)) for name, register in file.registers().items()},
            }
        )

    def _bank_open(self, register: Register) -> Value:
        if register.bank is None:
            return Const(1)
        selector, field, value = register.bank
        return getattr(self, selector).value[field] == value

    def _select(self, m: Module, register: Register, address: Value) -> Value:
        """Whether an access touches the register; arrays keep their indices."""
        bus = self.bus
        if not register.array:
            lane = register.offset % 8
            lanes = bus.mask[lane : lane + register.bytes]
            return (address[3:] == register.offset >> 3) & lanes.any() & self._bank_open(register)

        # Elements of an array are told apart by the address of the first byte, so one access reaches one element.
        if register.bytes not in (4, 8):
            raise ValueError(f"{register.name}: arrays are of 32 or 64 bits")
        port = getattr(self, register.name)
        offset = (address - register.offset)[: self.addr_width]
        found = address >= register.offset
        high = self.addr_width
        for n, dimension in enumerate(register.array):
            low = dimension.stride.bit_length() - 1
            if dimension.stride != 1 << low:
                raise ValueError(f"{register.name}: the stride of an array must be a power of two")
            number = offset[low:high]
            m.d.sync += getattr(port, f"index_{n}").eq(number)
            found &= number < dimension.count
            high = low
        return found & (offset[register.bytes.bit_length() - 1 : high] == 0)

    def _refused(self, hits: Value) -> Value:
        """Whether the file has no answer to an access."""
        bus, file = self.bus, self.file
        patterns = [((1 << size) - 1) << lane for size in file.access_bytes for lane in range(0, 8, size)]
        refused = ~reduce(or_, (bus.mask == pattern for pattern in patterns))
        if file.size < 1 << self.addr_width:
            refused |= bus.address >= file.size
        if file.size % 8:
            refused |= (bus.address == file.size - file.size % 8) & bus.mask[file.size % 8 :].any()
        if file.gaps == "error":
            refused |= ~hits.any()
        return refused

    def elaborate(self, platform: object) -> Module:
        m = Module()
        bus, file = self.bus, self.file
        registers = file.registers()
        selected = Signal(len(registers))
        refused = Signal()
        acting = Signal()
        answering = Signal()

        # Decode
        with m.If(bus.valid & ~acting & ~answering):
            first_lane = Signal(3)
            for lane in reversed(range(8)):
                with m.If(bus.mask[lane]):
                    m.d.comb += first_lane.eq(lane)
            address = Cat(first_lane, bus.address[3:])
            hits = Cat(self._select(m, register, address) for register in registers.values())
            m.d.sync += [self.address.eq(address), selected.eq(hits), refused.eq(self._refused(hits)), acting.eq(1)]

        # Act
        go = Signal()
        reads, writes = Signal.like(selected), Signal.like(selected)
        m.d.comb += go.eq(acting & self.ready)
        with m.If(go & ~refused & ~self.refuse):
            m.d.comb += [reads.eq(Mux(bus.write, 0, selected)), writes.eq(Mux(bus.write, selected, 0))]
        upper_word = self.address[2]
        parts = []
        for number, (name, register) in enumerate(registers.items()):
            port = getattr(self, name)
            lane = 0 if register.array else register.offset % 8
            lanes = bus.mask[lane : lane + register.bytes]
            write_value = bus.write_data[8 * lane : 8 * lane + register.width]
            value = port.value if isinstance(port.value, Signal) else port.value.as_value()
            part = Mux(selected[number], value, 0)
            if register.array and register.bytes == 4:
                lanes = Mux(upper_word, bus.mask[4:8], bus.mask[0:4])
                write_value = Mux(upper_word, bus.write_data[32:64], bus.write_data[0:32])
                part = Cat(part, part)
            m.d.comb += [
                port.read.eq(reads[number]),
                port.write.eq(writes[number]),
                port.write_value.eq(write_value),
                port.write_bytes.eq(lanes),
            ]
            if not in_device(register):
                changed = Const(register.writable_mask, register.width)
                if register.bytes > min(file.access_bytes):
                    changed &= Cat(enable.replicate(8) for enable in lanes)
                with m.If(port.write):
                    m.d.sync += value.eq((value & ~changed) | (write_value & changed))
            if register.access.readable:
                parts.append(part << 8 * lane)
        read_data = reduce(or_, parts, Const(0, 64))
        if file.gaps == "ones":
            read_data = Mux(selected.any(), read_data, Const((1 << 64) - 1, 64))
        with m.If(go):
            m.d.sync += acting.eq(0)

        if not self.answer_later:
            m.d.comb += [bus.done.eq(go), bus.read_data.eq(read_data), bus.error.eq(refused | self.refuse)]
            return m
        with m.If(go):
            m.d.sync += [bus.read_data.eq(read_data), bus.error.eq(refused | self.refuse), answering.eq(1)]
        with m.If(bus.done):
            m.d.sync += answering.eq(0)
        m.d.comb += bus.done.eq(answering & ~self.hold)
        return m
