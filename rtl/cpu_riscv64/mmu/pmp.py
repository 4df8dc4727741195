"""Physical memory protection (Privileged 3.7): the registers, and a checker that looks at one entry a cycle.

PMP is evaluated when a TLB entry is filled, never for an access that hits. So it is small and slow: addresses lie in
LUT RAM, one comparator pair goes through the entries in order and stops at the first that touches the range.

All checks lie within one 4 KiB page. An entry that covers the range whole decides on it; one that covers it in part
fails an access, and makes a page `partial`, so that each access to that page is checked by itself.
"""

from amaranth.hdl import Cat, Const, Elaboratable, Module, Mux, Signal, Value
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

    A check takes one cycle for each entry up to the first that matches, or up to the last that is not OFF, one at
    least, and two more: an entry is read, compared and judged in three cycles. The first check after a pmpcfg write
    that nothing matches goes through all entries.

    After a write the caller must flush both TLBs with `all_spaces`, and drop walks that began before it.

    WARL: bits 6:5 of a pmpcfg byte and 63:54 of pmpaddr read as zero; R=0 with W=1 (reserved) is stored as written and
    then allows stores but no loads, as in QEMU 7.2. Entries that are not there read as zero. Reset sets pmpcfg to 0 and
    leaves pmpaddr (Privileged 3.7 asks for no more).

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
        m.submodules.addresses = addresses = Memory(shape=ADDRESS_BITS, depth=entries, init=[])
        m.submodules.configs = configs = Memory(shape=64, depth=entries // 8, init=[])
        address_write, config_write = addresses.write_port(), configs.write_port(granularity=8)
        written = Signal(entries // 8)  # since reset; a pmpcfg that was not reads as 0

        def configs_of(entry: Value, name: str) -> Signal:
            """The pmpcfg register of an entry."""
            port = configs.read_port(domain="comb")
            word = Signal(64, name=name)
            m.d.comb += [
                port.addr.eq(entry[3:]),
                word.eq(Mux(written.bit_select(entry[3:], 1), port.data, 0)),
            ]
            return word

        def config_of(entry: Value, word: Value) -> data.View:
            """An entry's byte of its pmpcfg register."""
            return EntryConfig(word.word_select(entry[:3], 8))

        is_address = (self.address[4:] == CSR_PMPADDR0 >> 4) & (self.address[:4] < entries)
        is_config = (self.address == CSR_PMPCFG0) | ((self.address == CSR_PMPCFG2) & (entries > 8))
        entry = self.address[:index_bits]
        following = (entry + 1)[:index_bits]
        accessed = Signal(index_bits)
        m.d.comb += accessed.eq(Mux(is_address, entry, Cat(Const(0, 3), self.address[1])))
        old = configs_of(accessed, "old")
        entry_config = config_of(entry, old)
        following_config = config_of(following, configs_of(following, "following_configs"))
        # A locked TOR entry locks the address below it, too.
        address_locked = entry_config.locked | (
            following_config.locked & (following_config.matching == Matching.TOR) & (entry != entries - 1)
        )
        csr_address = addresses.read_port(domain="comb")
        m.d.comb += [
            csr_address.addr.eq(entry),
            address_write.addr.eq(entry),
            address_write.data.eq(self.write_data),
            address_write.en.eq(self.select & self.write & is_address & ~address_locked),
            config_write.addr.eq(accessed[3:]),
            config_write.data.eq(self.write_data & 0x9F9F_9F9F_9F9F_9F9F),
        ]
        with m.If(self.select & is_address):
            m.d.comb += self.read_data.eq(csr_address.data)
        with m.If(self.select & is_config):
            m.d.comb += self.read_data.eq(old)

        # --- checker ---
        index = Signal(index_bits)
        # No entry after `final` is in use. That is learnt by going through all of them, once after every change.
        final = Signal(index_bits)
        last_used = Signal(index_bits)
        with m.If(self.select & self.write & is_config):
            m.d.comb += config_write.en.eq(Cat(~old[8 * byte + 7] for byte in range(8)))
            m.d.sync += written.bit_select(accessed[3:], 1).eq(1)
        # the entry that was read, and the one that was compared
        read_valid, compared = Signal(), Signal()
        read_index, compared_index = Signal(index_bits), Signal(index_bits)
        checked_address = addresses.read_port(domain="comb")
        address = Signal(ADDRESS_BITS)
        config, compared_config = Signal(EntryConfig), Signal(EntryConfig)
        m.d.comb += checked_address.addr.eq(index)
        m.d.sync += [
            address.eq(checked_address.data),
            config.eq(config_of(index, configs_of(index, "checked_configs"))),
            read_index.eq(index),
            compared_index.eq(read_index),
            compared_config.eq(config),
        ]

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
        matches_all = Signal()
        matches_any = Signal()
        m.d.sync += [
            matches_all.eq(first_inside & last_inside),
            matches_any.eq(first_inside | last_inside | within),
        ]

        with m.If(matches_any):
            bypass = machine & ~compared_config.locked
            m.d.comb += [
                check.done.eq(check.valid & compared),
                check.read.eq(matches_all & (compared_config.read | bypass)),
                check.write.eq(matches_all & (compared_config.write | bypass)),
                check.execute.eq(matches_all & (compared_config.execute | bypass)),
                check.partial.eq(~matches_all),
            ]
        with m.Elif(compared_index == final):
            m.d.comb += [
                check.done.eq(check.valid & compared),
                check.read.eq(machine),
                check.write.eq(machine),
                check.execute.eq(machine),
            ]
        in_use = compared_config.matching != Matching.OFF
        with m.If(check.valid & check.done & ~matches_any):
            m.d.sync += final.eq(Mux(in_use, compared_index, last_used))
        # A write restarts a check that is under way: what it has seen is no longer so.
        is_write = self.select & self.write
        with m.If(is_write):
            m.d.sync += final.eq(entries - 1)
        with m.If(check.valid & ~check.done & ~is_write):
            m.d.sync += [
                index.eq(index + 1),
                read_valid.eq(1),
                compared.eq(read_valid),
            ]
            with m.If(read_valid):
                m.d.sync += [
                    first_below_previous.eq(first_below),
                    last_below_previous.eq(last_below),
                    previous_offset.eq(address_offset),
                ]
            with m.If(compared & in_use):
                m.d.sync += last_used.eq(compared_index)
        with m.Else():
            m.d.sync += [
                index.eq(0),
                read_valid.eq(0),
                compared.eq(0),
                first_below_previous.eq(0),
                last_below_previous.eq(0),
                last_used.eq(0),
            ]

        return m
