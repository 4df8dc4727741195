"""The boot flash: two banks of CFI flash with Intel commands, as QEMU's `virt` shows them, empty and locked.

Every bank is two 16-bit chips side by side, so that a command is found in the low byte of a 32-bit word, and answers
come twice in one. The chips hold nothing: they read as zero, like QEMU's without an image. A program or erase command
ends with the error that a locked block gives. On a board the window is to be the memory-mapped SPI flash.
"""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import enum, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In

from rtl import memory_map
from rtl.bus import register_bus

BANKS = 2
ADDRESS_WIDTH = (memory_map.FLASH.size - 1).bit_length()

MANUFACTURER_INTEL = 0x89
DEVICE = 0x18

STATUS_LOCKED_ERROR = 0x80 | 0x20 | 0x10 | 0x02  # ready; erase and program failed: the block is locked
STATUS_READY = 0x80

CHIP_BYTES = memory_map.FLASH.size // BANKS // 2
SECTOR_BYTES = 128 << 10


def cfi_table() -> bytes:
    """The query table of one chip (JEDEC JESD68.01; Intel command set 1)."""
    blocks = CHIP_BYTES // SECTOR_BYTES - 1
    table = bytearray(64)
    table[0x10:0x13] = b"QRY"
    table[0x13] = 0x01  # Intel extended command set
    table[0x15] = 0x31  # where its table is
    table[0x1B:0x1D] = 0x45, 0x55  # 4.5 to 5.5 V
    table[0x1F:0x22] = 7, 7, 10  # typical times as powers of two: word and buffer 128 us, erase 1 s
    table[0x23:0x26] = 4, 4, 4  # worst times are 16 times that
    table[0x27] = CHIP_BYTES.bit_length() - 1
    table[0x28] = 2  # 16 or 8 bits wide
    table[0x2A] = 11  # 2 KiB write buffer
    table[0x2C] = 1  # one region of equal sectors:
    table[0x2D:0x2F] = blocks.to_bytes(2, "little")
    table[0x2F:0x31] = (SECTOR_BYTES >> 8).to_bytes(2, "little")
    table[0x31:0x36] = b"PRI10"
    table[0x3F] = 1  # one protection field
    return bytes(table)


class Mode(enum.Enum, shape=3):
    """What a bank answers."""

    ARRAY = 0
    STATUS = 1
    IDENTITY = 2
    QUERY = 3
    CONFIRM = 4  # waits for the second word of an erase or lock command
    PROGRAM = 5  # waits for the data of a program command


class Flash(wiring.Component):
    """The flash window.

    Members
    -------
    bus : In(register_bus)
        The window.
    """

    bus: In(register_bus.Signature(addr_width=ADDRESS_WIDTH))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        bus = self.bus
        table = list(cfi_table())
        m.submodules.table = table_memory = Memory(shape=8, depth=len(table) // 2 * 2, init=table)
        low_port = table_memory.read_port(domain="comb")
        high_port = table_memory.read_port(domain="comb")

        modes = [Signal(Mode, name=f"mode_{n}") for n in range(BANKS)]
        statuses = [Signal(8, name=f"status_{n}", init=STATUS_READY) for n in range(BANKS)]
        bank = bus.address[-1]
        mode = Signal(Mode)
        status = Signal(8)
        m.d.comb += [mode.eq(Mux(bank, modes[1], modes[0])), status.eq(Mux(bank, statuses[1], statuses[0]))]

        # Reads: two 32-bit words of the bank, each from both chips; a byte access finds the low byte in every lane.
        number = bus.address[3:-1]
        low, high = Signal(8), Signal(8)
        m.d.comb += [low_port.addr.eq(Cat(0, number)), high_port.addr.eq(Cat(1, number))]
        with m.Switch(mode):
            with m.Case(Mode.QUERY):
                with m.If(number < len(table) // 2):
                    m.d.comb += [low.eq(low_port.data), high.eq(high_port.data)]
            with m.Case(Mode.IDENTITY):
                with m.If(number[:7] == 0):
                    m.d.comb += [low.eq(MANUFACTURER_INTEL), high.eq(DEVICE)]
            with m.Case(Mode.STATUS, Mode.CONFIRM, Mode.PROGRAM):
                m.d.comb += [low.eq(status), high.eq(status)]
        byte_access = (bus.mask & (bus.mask - 1)) == 0
        spaced = [Mux(byte_access, value.replicate(2), value) for value in (low, high)]
        m.d.comb += [
            bus.done.eq(bus.valid),
            bus.read_data.eq(Cat(value for half in spaced for value in (half[:16], half[:16]))),
        ]

        # Writes: commands.
        command = Signal(8)
        m.d.comb += command.eq(bus.write_data.word_select(self._first_lane(m), 8))
        next_mode, next_status = Signal(Mode), Signal(8)
        m.d.comb += [next_mode.eq(mode), next_status.eq(status)]
        with m.Switch(mode):
            with m.Case(Mode.ARRAY, Mode.STATUS, Mode.IDENTITY):
                with m.Switch(command):
                    with m.Case(0x98):
                        m.d.comb += next_mode.eq(Mode.QUERY)
                    with m.Case(0x90):
                        m.d.comb += next_mode.eq(Mode.IDENTITY)
                    with m.Case(0x70):
                        m.d.comb += next_mode.eq(Mode.STATUS)
                    with m.Case(0x50):
                        m.d.comb += [next_mode.eq(Mode.ARRAY), next_status.eq(0)]
                    with m.Case(0x20, 0x28, 0x60):
                        m.d.comb += [next_mode.eq(Mode.CONFIRM), next_status.eq(STATUS_READY)]
                    with m.Case(0x10, 0x40):
                        m.d.comb += [next_mode.eq(Mode.PROGRAM), next_status.eq(STATUS_READY)]
                    with m.Case(0xE8):
                        # no buffer to be had: software shall not go on with the command
                        m.d.comb += [next_mode.eq(Mode.STATUS), next_status.eq(STATUS_LOCKED_ERROR & ~STATUS_READY)]
                    with m.Default():
                        m.d.comb += next_mode.eq(Mode.ARRAY)
            with m.Case(Mode.CONFIRM, Mode.PROGRAM):
                m.d.comb += [next_mode.eq(Mode.STATUS), next_status.eq(STATUS_LOCKED_ERROR)]
                with m.If((mode == Mode.CONFIRM) & (command != 0xD0)):
                    m.d.comb += [next_mode.eq(Mode.ARRAY), next_status.eq(STATUS_READY)]
            with m.Default():  # query: until a reset command
                with m.If(command == 0xFF):
                    m.d.comb += next_mode.eq(Mode.ARRAY)
        for n in range(BANKS):
            with m.If(bus.valid & bus.write & (bank == n)):
                m.d.sync += [modes[n].eq(next_mode), statuses[n].eq(next_status)]
        return m

    def _first_lane(self, m: Module) -> Signal:
        lane = Signal(3)
        for n in reversed(range(8)):
            with m.If(self.bus.mask[n]):
                m.d.comb += lane.eq(n)
        return lane
