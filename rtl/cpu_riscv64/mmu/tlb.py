"""The translation lookaside buffer, used once for fetches and once for data.

The set is read in the cycle in which the address is known, and both come out of registers in the next, in which it is
decided which way hits. A cache compares its tags with the page of both ways meanwhile, and its data is on its way out
of block RAM: the decision costs neither of them time. (LUT RAM: it gives its rows 5 ns before block RAM does on an
ECP5.) An entry is stored as the lookup wants to see it (PTE, A/D, PMP and PMA permissions already joined, the user bit
as two "who may" bits, no valid bit but an unused `space`). A lookup that is denied for any reason is just a miss: the
walker finds out which fault it is.

Filling and flushing read through the same port, and ask with the same comparators.
"""

from amaranth.hdl import Cat, Elaboratable, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ..config import PAGE_BITS, CoreConfig
from ..interfaces import Access, Privilege, SfenceRequest, Space, TranslationContext, tlb_entry_layout

WAYS = 2
VPN_BITS = 27
VA_BITS = PAGE_BITS + VPN_BITS  # Sv39
EMPTY = 3  # the value that `Space` leaves free marks a row that holds no entry


class Tlb(wiring.Component):
    """Two-way set associative TLB of 4 KiB entries.

    No two ways hit at once: a fill replaces every entry that could answer the same lookup.

    Parameters
    ----------
    config : CoreConfig
        `tlb_sets` (at least 2), `asid_width`, `pa_width`.

    Members
    -------
    lookup_enable : In(1)
        Look `lookup_va` up. When 0, the answer stays about what was looked up last.
    lookup_va : In(64), access, context : In
        The address that the answer is about, in the next cycle; why, and who asks.
    hit : Out(1)
        An entry allows this access. Always 0 until the first lookup after a fill or flush.
    ppn : Out(ppn_width), cacheable : Out(1)
        Of the entry that hits; undefined otherwise.
    way_hit, way_ppn, way_cacheable : Out, one a way
        The same before the choice, for a cache that compares its tags with both.
    fill_valid : In(1), fill_entry : In(tlb_entry_layout)
        Takes the entry (one cycle). Ignored while `busy`. A `mixed` entry is not kept.
    flush_valid : In(1), flush : In(SfenceRequest)
        SFENCE.VMA (Privileged 4.2.1), takes `tlb_sets` + 2 cycles. By address it drops the page, and every fragment
        of a superpage whatever its address. Bare entries go with `all_spaces` only. Wins over a fill in the same cycle.
    busy : Out(1)
        Filling or flushing (also after reset, to empty the rows): lookups are not answered and must be repeated.
    """

    def __init__(self, config: CoreConfig):
        if config.tlb_sets < 2:
            raise ValueError(f"tlb_sets must be at least 2, not {config.tlb_sets!r}")
        self._config = config
        super().__init__(
            {
                "lookup_enable": In(1),
                "lookup_va": In(64),
                "access": In(Access),
                "context": In(TranslationContext),
                "hit": Out(1),
                "ppn": Out(config.ppn_width),
                "cacheable": Out(1),
                "way_hit": Out(1).array(WAYS),
                "way_ppn": Out(config.ppn_width).array(WAYS),
                "way_cacheable": Out(1).array(WAYS),
                "fill_valid": In(1),
                "fill_entry": In(tlb_entry_layout(config)),
                "flush_valid": In(1),
                "flush": In(SfenceRequest),
                "busy": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        config = self._config
        sets = config.tlb_sets
        index_bits = (sets - 1).bit_length()
        # Two memories a way, each no wider than a machine word of the simulator.
        tag_layout = data.StructLayout(
            {
                "space": 2,
                "tag": VPN_BITS - index_bits,
                "asid": config.asid_width,
                "is_global": 1,  # or bare: no ASID
                "superpage": 1,
            }
        )
        value_layout = data.StructLayout(
            {
                "ppn": config.ppn_width,
                "by_user": 1,  # U-mode may use it
                "by_supervisor": 1,  # S-mode may use it whatever SUM says
                "read": 1,
                "write": 1,
                "execute": 1,
                "execute_readable": 1,
                "cacheable": 1,
            }
        )

        # What is asked, filled or flushed.
        held_tag = Signal(tag_layout)
        held_value = Signal(value_layout)
        held_index = Signal(index_bits)
        by_address = Signal()
        by_asid = Signal()
        all_spaces = Signal(init=1)  # the flush after reset takes everything

        reading = Signal(index_bits)  # flush: the set being read
        deciding = Signal(index_bits)  # flush: the set that was read before
        reads_lookup = Signal()
        flushing = Signal()

        read_index = Signal(index_bits)
        write_index = Signal(index_bits)

        # --- the question ---
        va = self.lookup_va
        space = Signal(2)
        with m.If(self.context.privilege == Privilege.MACHINE):
            m.d.comb += space.eq(Space.BARE_M.value)
        with m.Elif(~self.context.sv39):
            m.d.comb += space.eq(Space.BARE_SU.value)
        with m.Else():
            m.d.comb += space.eq(Space.TRANSLATED.value)
        upper = va[VA_BITS - 1 :]
        canonical = upper.all() | ~upper.any()
        physical = ~va[config.pa_width :].any()

        is_user = self.context.privilege == Privilege.USER
        by_user = Signal()
        by_supervisor = Signal()
        by_sum = Signal()
        wants_read = Signal()
        wants_write = Signal()
        wants_execute = Signal()
        wants_execute_readable = Signal()
        asks = Signal()  # what was looked up is an address at all, and nothing was filled or flushed since
        with m.If(self.lookup_enable & reads_lookup):
            m.d.sync += [
                held_tag.tag.eq(va[PAGE_BITS + index_bits : VA_BITS]),
                held_tag.space.eq(space),
                held_tag.asid.eq(self.context.asid),
                asks.eq(Mux(space == Space.TRANSLATED.value, canonical, physical)),
                by_user.eq(is_user),
                by_supervisor.eq(~is_user),
                by_sum.eq(~is_user & self.context.sum & (self.access != Access.FETCH)),
                wants_read.eq(self.access == Access.LOAD),
                wants_write.eq(self.access == Access.STORE),
                wants_execute.eq(self.access == Access.FETCH),
                wants_execute_readable.eq((self.access == Access.LOAD) & self.context.mxr),
            ]

        # --- the ways ---
        tags, values, tag_writes, value_writes = [], [], [], []
        attributes = {"ram_style": "distributed"}
        # of the set that was read
        same_entry = Signal(WAYS)  # fill: answers the same lookups
        empty = Signal(WAYS)
        doomed = Signal(WAYS)  # flush: goes
        for way in range(WAYS):
            tag_memory = Memory(shape=tag_layout, depth=sets, init=[], attrs=attributes)
            value_memory = Memory(shape=value_layout, depth=sets, init=[], attrs=attributes)
            m.submodules[f"tags_{way}"] = tag_memory
            m.submodules[f"values_{way}"] = value_memory
            for memory, reads, writes, row in (
                (tag_memory, tags, tag_writes, held_tag),
                (value_memory, values, value_writes, held_value),
            ):
                read, write = memory.read_port(), memory.write_port()
                reads.append(read.data)
                writes.append(write)
                m.d.comb += [
                    read.addr.eq(read_index),
                    read.en.eq(self.lookup_enable | ~reads_lookup),
                    write.addr.eq(write_index),
                    write.data.eq(row),
                ]
            tag, value = tags[way], values[way]
            same_tag = tag.tag == held_tag.tag
            same_space = tag.space == held_tag.space
            same_asid = tag.asid == held_tag.asid
            may = ((value.by_user & by_user) | (value.by_supervisor & by_supervisor) | by_sum) & (
                (value.read & wants_read)
                | (value.write & wants_write)
                | (value.execute & wants_execute)
                | (value.execute_readable & wants_execute_readable)
            )
            m.d.comb += [
                self.way_hit[way].eq(same_tag & same_space & (same_asid | tag.is_global) & may & asks),
                self.way_ppn[way].eq(value.ppn),
                self.way_cacheable[way].eq(value.cacheable),
                same_entry[way].eq(same_tag & same_space & (same_asid | tag.is_global | held_tag.is_global)),
                empty[way].eq(tag.space == EMPTY),
                doomed[way].eq(
                    (all_spaces | (tag.space == Space.TRANSLATED.value))
                    & (~by_asid | (same_asid & ~tag.is_global))
                    & (~by_address | tag.superpage | (same_tag & (deciding == held_index)))
                ),
            ]
        m.d.comb += [
            self.hit.eq(self.way_hit[0] | self.way_hit[1]),
            self.ppn.eq(Mux(self.way_hit[1], self.way_ppn[1], self.way_ppn[0])),
            self.cacheable.eq(Mux(self.way_hit[1], self.way_cacheable[1], self.way_cacheable[0])),
        ]

        # --- filling and flushing ---
        chance = Signal(7, init=1)  # x^7 + x^6 + 1, one step a fill
        chosen = Signal()  # the way to fill
        with m.If(same_entry.any()):
            m.d.comb += chosen.eq(~same_entry[0])
        with m.Elif(empty.any()):
            m.d.comb += chosen.eq(~empty[0])
        with m.Else():
            m.d.comb += chosen.eq(chance[0])

        m.d.comb += [
            read_index.eq(held_index),
            write_index.eq(Mux(flushing, deciding, held_index)),
            self.busy.eq(~reads_lookup),
        ]

        def flush_first() -> None:
            """Whatever the state: nothing may survive a flush because it came at a bad moment."""
            with m.If(self.flush_valid):
                m.next = "Flush reads the first set"

        with m.FSM(init="Flush reads the first set"):
            with m.State("Lookups"):
                m.d.comb += [reads_lookup.eq(1), read_index.eq(va[PAGE_BITS : PAGE_BITS + index_bits])]
                entry = self.fill_entry
                with m.If(self.fill_valid & entry.valid & ~entry.mixed):
                    bare = entry.space != Space.TRANSLATED
                    m.d.sync += [
                        held_index.eq(entry.vpn[:index_bits]),
                        held_tag.tag.eq(entry.vpn[index_bits:]),
                        held_tag.space.eq(entry.space),
                        held_tag.asid.eq(entry.asid),
                        held_tag.is_global.eq(entry.is_global | bare),
                        held_tag.superpage.eq(entry.superpage),
                        held_value.by_user.eq(entry.user | bare),
                        held_value.by_supervisor.eq(~entry.user | bare),
                        *(
                            held_value[name].eq(entry[name])
                            for name in ("ppn", "read", "write", "execute", "execute_readable", "cacheable")
                        ),
                        asks.eq(0),
                    ]
                    m.next = "Fill reads the set"
                flush_first()
            with m.State("Fill reads the set"):
                m.next = "Fill writes one way"
                flush_first()
            with m.State("Fill writes one way"):
                m.d.sync += chance.eq(Cat(chance[6] ^ chance[5], chance[:6]))
                for way in range(WAYS):
                    writes_entry = chosen == way
                    m.d.comb += [
                        tag_writes[way].en.eq(writes_entry | same_entry[way]),
                        value_writes[way].en.eq(writes_entry),
                    ]
                    with m.If(~writes_entry):
                        m.d.comb += tag_writes[way].data.space.eq(EMPTY)
                m.next = "Lookups"
                flush_first()
            with m.State("Flush reads the first set"):
                m.d.comb += [flushing.eq(1), read_index.eq(0)]
                m.d.sync += [deciding.eq(0), reading.eq(1)]
                m.next = "Flush decides, and reads the next set"
                flush_first()
            with m.State("Flush decides, and reads the next set"):
                m.d.comb += [flushing.eq(1), read_index.eq(reading)]
                m.d.sync += [deciding.eq(reading), reading.eq(reading + 1)]
                for way in range(WAYS):
                    m.d.comb += [tag_writes[way].en.eq(doomed[way]), tag_writes[way].data.space.eq(EMPTY)]
                with m.If(deciding.all()):
                    m.next = "Lookups"
                flush_first()

        # A flush that comes during another makes it a flush of everything.
        with m.If(self.flush_valid):
            m.d.sync += [
                reading.eq(0),
                asks.eq(0),
                by_address.eq(self.flush.by_address & ~flushing),
                by_asid.eq(self.flush.by_asid & ~flushing),
                all_spaces.eq(self.flush.all_spaces | (flushing & all_spaces)),
                held_index.eq(self.flush.va[PAGE_BITS : PAGE_BITS + index_bits]),
                held_tag.tag.eq(self.flush.va[PAGE_BITS + index_bits : VA_BITS]),
                held_tag.asid.eq(self.flush.asid),
            ]

        return m
