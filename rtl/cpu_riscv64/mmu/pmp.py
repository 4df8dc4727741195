"""Physical memory protection (Privileged 3.7): the registers, and a checker that looks at one entry a cycle.

PMP is evaluated when a TLB entry is filled, never for an access that hits. So it is small and slow: addresses lie in
LUT RAM, one comparator pair goes through the entries in order and stops at the first that touches the range.

All checks lie within one 4 KiB page. An entry that covers the range whole decides on it; one that covers it in part
fails an access, and makes a page `partial`, so that each access to that page is checked by itself.
"""

from amaranth.hdl import Cat, Elaboratable, Module, Mux, Signal
from amaranth.lib import data, enum, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ..config import PAGE_BITS, CoreConfig
from ..interfaces import Privilege

CSR_PMPCFG0 = 0x3A0
CSR_PMPCFG2 = 0x3A2
CSR_PMPADDR0 = 0x3B0
ADDRESS_BITS = 54  # of pmpaddr: physical address bits 55:2
GRAIN_BITS = 2


class Matching(enum.Enum, shape=2):
    """pmpcfg.A (Privileged table 3.10)."""

    OFF = 0
    TOR = 1
    NA4 = 2
    NAPOT = 3


class EntryConfig(data.Struct):
    """One byte of a pmpcfg register."""

    read: 1
    write: 1
    execute: 1
    matching: Matching
    reserved: 2
    locked: 1


class PmpCheck(wiring.Signature):
    """A question to PMP (`Out` on the asker).

    Members
    -------
    valid : Out(1)
        Held with the fields below until `done`.
    ppn : Out(ppn_width), first, last : Out(12)
        The page, and the offsets of the first and last byte.
    privilege : Out(Privilege)
        On whose behalf.
    done : In(1)
        The answer counts in this cycle.
    read, write, execute : In(1)
        What is allowed on all of the bytes. Nothing if `partial`.
    partial : In(1)
        The first entry that matches any of the bytes does not match all of them.
    """

    def __init__(self, config: CoreConfig):
        super().__init__(
            {
                "valid": Out(1),
                "ppn": Out(config.ppn_width),
                "first": Out(PAGE_BITS),
                "last": Out(PAGE_BITS),
                "privilege": Out(Privilege),
                "done": In(1),
                "read": In(1),
                "write": In(1),
                "execute": In(1),
                "partial": In(1),
            }
        )


class Pmp(wiring.Component):
    """PMP registers and checker.

    A check takes one cycle for each entry up to the first that matches, or up to the last that is not OFF; one cycle
    at least. After a write the caller must flush both TLBs with `all_spaces`, and drop walks that began before it.

    WARL: bits 6:5 of a pmpcfg byte and 63:54 of pmpaddr read as zero; R=0 with W=1 (reserved) is stored as written and
    then allows stores but no loads, as in QEMU 7.2. Entries that are not there read as zero.

    Parameters
    ----------
    config : CoreConfig
        `pmp_entries`: 0, 8 or 16; `pa_width`.

    Members
    -------
    select : In(1), address : In(12)
        A PMP CSR is accessed: pmpcfg0, pmpcfg2, pmpaddr0..15 (RV64 has no odd pmpcfg).
    write : In(1), write_data : In(64)
        It is written at the end of the cycle, unless locked.
    read_data : Out(64)
        Its value in the same cycle. 0 unless `select`.
    check : In(PmpCheck)
        Page and access checks.
    """

    def __init__(self, config: CoreConfig):
        self._config = config
        super().__init__(
            {
                "select": In(1),
                "address": In(12),
                "write": In(1),
                "write_data": In(64),
                "read_data": Out(64),
                "check": In(PmpCheck(config)),
            }
        )

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        entries = self._config.pmp_entries
        check = self.check
        machine = check.privilege == Privilege.MACHINE
        if entries == 0:
            m.d.comb += [check.done.eq(check.valid), check.read.eq(1), check.write.eq(1), check.execute.eq(1)]
            return m
        index_bits = (entries - 1).bit_length()

        # --- registers ---
        # Configurations are kept as whole registers (8 entries each): a byte is picked by a shift, not by a wide mux.
        registers = [Signal(64, name=f"pmpcfg{2 * number}") for number in range(entries // 8)]

        def entry_config(index: Signal, name: str) -> data.View:
            """The configuration of the entry that `index` names."""
            result = Signal(EntryConfig, name=name)
            half = index[3] if entries > 8 else 0
            register = Mux(half, registers[-1], registers[0]) if entries > 8 else registers[0]
            m.d.comb += result.as_value().eq(register.word_select(index[:3], 8))
            return result

        m.submodules.addresses = addresses = Memory(shape=ADDRESS_BITS, depth=entries, init=[])
        csr_address = addresses.read_port(domain="comb")
        checked_address = addresses.read_port(domain="comb")
        address_write = addresses.write_port()

        csr_entry = Signal(index_bits)
        next_entry = Signal(index_bits)
        is_address = (self.address[4:] == CSR_PMPADDR0 >> 4) & (self.address[:4] < entries)
        written_config = entry_config(csr_entry, "written_config")
        following_config = entry_config(next_entry, "following_config")
        # Reset leaves pmpaddr unspecified, but what software reads must not depend on what ran before.
        known = Signal(entries)
        m.d.comb += [
            csr_entry.eq(self.address[:index_bits]),
            next_entry.eq(csr_entry + 1),
            csr_address.addr.eq(csr_entry),
            address_write.addr.eq(csr_entry),
            address_write.data.eq(self.write_data),
        ]
        guards_previous = (
            following_config.locked & (following_config.matching == Matching.TOR) & (csr_entry != entries - 1)
        )
        with m.If(self.select & is_address):
            m.d.comb += self.read_data.eq(Mux(known.bit_select(csr_entry, 1), csr_address.data, 0))
            with m.If(self.write & ~written_config.locked & ~guards_previous):
                m.d.comb += address_write.en.eq(1)
                m.d.sync += known.bit_select(csr_entry, 1).eq(1)
        for number, register in enumerate(registers):
            with m.If(self.select & (self.address == CSR_PMPCFG0 + 2 * number)):
                m.d.comb += self.read_data.eq(register)
                with m.If(self.write):
                    for byte in range(8):
                        stored = EntryConfig(register.word_select(byte, 8))
                        written = EntryConfig(self.write_data.word_select(byte, 8))
                        with m.If(~stored.locked):
                            m.d.sync += [
                                stored.read.eq(written.read),
                                stored.write.eq(written.write),
                                stored.execute.eq(written.execute),
                                stored.matching.eq(written.matching),
                                stored.locked.eq(written.locked),
                            ]

        # --- checker ---
        index = Signal(index_bits)
        active = Signal(entries)  # entries that are not OFF
        m.d.comb += active.eq(
            Cat(
                EntryConfig(register.word_select(byte, 8)).matching != Matching.OFF
                for register in registers
                for byte in range(8)
            )
        )
        config = entry_config(index, "checked_config")
        m.d.comb += checked_address.addr.eq(index)
        address = Signal(ADDRESS_BITS)
        m.d.comb += address.eq(Mux(known.bit_select(index, 1), checked_address.data, 0))

        # All in units of 4 bytes. Both ends share the page, so only their offsets need two comparators.
        offset_bits = PAGE_BITS - GRAIN_BITS
        address_page, address_offset = address[offset_bits:], address[:offset_bits]
        first, last = check.first[GRAIN_BITS:], check.last[GRAIN_BITS:]
        page_below = check.ppn < address_page
        same_page = check.ppn == address_page
        first_below = Signal()  # first < address
        last_below = Signal()
        m.d.comb += [
            first_below.eq(page_below | (same_page & (first < address_offset))),
            last_below.eq(page_below | (same_page & (last < address_offset))),
        ]
        # What the previous entry's address said: TOR's lower bound, 0 for entry 0.
        first_below_previous = Signal()
        last_below_previous = Signal()
        previous_offset = Signal(offset_bits)

        # NAPOT: the trailing ones and the zero above them are don't care; NA4 has none.
        ignored = Mux(config.matching == Matching.NAPOT, address ^ (address + 1), 0)[:ADDRESS_BITS]
        ignored_page, ignored_offset = ignored[offset_bits:], ignored[:offset_bits]
        in_page = ~((check.ppn ^ address_page) & ~ignored_page).any()

        first_inside = Signal()
        last_inside = Signal()
        within = Signal()  # the region lies between first and last and holds neither
        with m.Switch(config.matching):
            with m.Case(Matching.TOR):
                m.d.comb += [
                    first_inside.eq(~first_below_previous & first_below),
                    last_inside.eq(~last_below_previous & last_below),
                    # Then both bounds are in this page; the offsets tell an empty region (bottom not below top).
                    within.eq(
                        (first_below_previous & ~last_below_previous & first_below & ~last_below)
                        & (previous_offset < address_offset)
                    ),
                ]
            with m.Case(Matching.NA4, Matching.NAPOT):
                m.d.comb += [
                    first_inside.eq(in_page & ~((first ^ address_offset) & ~ignored_offset).any()),
                    last_inside.eq(in_page & ~((last ^ address_offset) & ~ignored_offset).any()),
                    within.eq(first_below & ~last_below),  # the address register names a word inside the region
                ]
        matches_all = first_inside & last_inside
        matches_any = first_inside | last_inside | within
        more = Signal()
        m.d.comb += more.eq((active >> index)[1:].any())

        with m.If(matches_any):
            bypass = machine & ~config.locked
            m.d.comb += [
                check.done.eq(check.valid),
                check.read.eq(matches_all & (config.read | bypass)),
                check.write.eq(matches_all & (config.write | bypass)),
                check.execute.eq(matches_all & (config.execute | bypass)),
                check.partial.eq(~matches_all),
            ]
        with m.Elif(~more):
            m.d.comb += [
                check.done.eq(check.valid),
                check.read.eq(machine),
                check.write.eq(machine),
                check.execute.eq(machine),
            ]
        with m.If(check.valid):
            m.d.sync += [
                index.eq(index + 1),
                first_below_previous.eq(first_below),
                last_below_previous.eq(last_below),
                previous_offset.eq(address_offset),
            ]
            with m.If(check.done):
                m.d.sync += [index.eq(0), first_below_previous.eq(0), last_below_previous.eq(0), previous_offset.eq(0)]

        return m
