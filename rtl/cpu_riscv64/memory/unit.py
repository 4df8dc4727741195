"""Executes loads, stores and atomics in the M stage, and serves everyone else who needs the data cache.

The fast way is one cycle: a load that hits and meets no store to its bytes, or a store whose page is known. Whatever
is not fast is decided a cycle later, from registers, and done by the sequencer, which takes the arrays' read port
(`busy_port`: no memory instruction may leave X), does one step, and lets the lookup be repeated. So every condition is
decided in one place, from one lookup:

    no translation        walk, then repeat with the walker's answer (`known`)
    line not here         fetch it, then repeat
    crosses a doubleword  first half, then second half
    not cacheable         one bus access, after all older stores
    atomic                after all older stores; load, then store, with the line held

The other clients of the port: the page-table walker, probes (instruction fetch, DMA), the store buffer's misses, and
prefetches.
"""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import enum, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from ...bus import axi4
from ..amo import AmoAlu
from ..config import LINE_BEATS, CoreConfig
from ..interfaces import (
    Access,
    AmoOp,
    Cause,
    Memory,
    Probe,
    ProbeSignature,
    SfenceRequest,
    TranslationContext,
    WalkerMemory,
    walk_request_layout,
    walk_response_layout,
)
from ..mmu.tlb import Tlb
from .arrays import Alignment, DataArrays, kept_bytes, last_byte
from .store_buffer import StoreBuffer
from .stream import StreamPrefetcher
from .transfers import Transfers

DRAM_BASE = 0x8000_0000


class Client(enum.Enum, shape=3):
    """Who asked for the lookup that is checked."""

    DEMAND = 0
    STORE = 1
    PREFETCH = 2
    WALKER = 3
    FETCH_PROBE = 4
    DMA_PROBE = 5


class MemoryUnit(wiring.Component):
    """The data side of the core.

    Parameters
    ----------
    config : CoreConfig

    Members
    -------
    x_memory : In(1), x_address : In(64), x_kind : In(Memory), x_size : In(2)
        X holds a memory instruction; its virtual address, what it does, and log2 of its bytes.
    x_enters : In(1), moves : In(1)
        It moves to M at this clock edge. M takes what comes, if it is only nothing.
    busy_port : Out(1)
        It must not: the arrays are in use. (Known early in the cycle.)
    m_valid : In(1)
        M holds a memory instruction that is to be executed; held with the fields below until `done`.
    m_data : In(64)
        rs2.
    m_memory : In(Memory), m_size : In(2), m_unsigned : In(1), m_amo : In(AmoOp)
        What it does.
    fast : Out(1), loaded : Out(64)
        Over in this cycle, at once: a load with that value, or a store. Late: nothing that is not needed should follow.
    reply : Out(1)
        Over in this cycle, after a while: with `reply_data` (loaded value, or SC's verdict), or
    fault : Out(1), cause : Out(Cause), tval : Out(64)
        with an exception.
    reply_data : Out(64)
    context : In(TranslationContext)
        Effective one for data, a cycle ahead.
    amo_result : Out(64)
        What the last AMO stored.
    drained : Out(1)
        All stores have reached the cache or the bus.
    sfence_valid : In(1), sfence : In(SfenceRequest), flushing : Out(1)
        SFENCE.VMA for the data TLB.
    walk_valid : Out(1), walk : Out, walk_done : In(1), walk_response : In
        Translations.
    walker_memory : In(WalkerMemory)
        The walker's accesses.
    fetch_probe, dma_probe : In(ProbeSignature)
        Coherence.
    ram_end : In(pa_width)
        First address past DRAM.
    bus : Out(axi4.Signature)
    miss, miss_tlb, write_back : Out(1)
        Events.
    store_valid : Out(1), store_address : Out(pa_width), store_data : Out(64), store_mask : Out(8)
        A store commits (for whoever watches the machine).
    """

    def __init__(self, config: CoreConfig):
        self.config = config
        super().__init__(
            {
                "x_memory": In(1),
                "x_address": In(64),
                "x_kind": In(Memory),
                "x_size": In(2),
                "x_enters": In(1),
                "moves": In(1),
                "busy_port": Out(1),
                "m_valid": In(1),
                "m_data": In(64),
                "m_memory": In(Memory),
                "m_size": In(2),
                "m_unsigned": In(1),
                "m_amo": In(AmoOp),
                "fast": Out(1),
                "loaded": Out(64),
                "reply": Out(1),
                "reply_data": Out(64),
                "fault": Out(1),
                "cause": Out(Cause),
                "tval": Out(64),
                "amo_result": Out(64),
                "context": In(TranslationContext),
                "drained": Out(1),
                "sfence_valid": In(1),
                "sfence": In(SfenceRequest),
                "flushing": Out(1),
                "walk_valid": Out(1),
                "walk": Out(walk_request_layout()),
                "walk_done": In(1),
                "walk_response": In(walk_response_layout(config)),
                "walker_memory": In(WalkerMemory(config)),
                "fetch_probe": In(ProbeSignature(config)),
                "dma_probe": In(ProbeSignature(config)),
                "ram_end": In(config.pa_width),
                "bus": Out(axi4.Signature(addr_width=config.pa_width, data_width=64, id_width=2)),
                "miss": Out(1),
                "miss_tlb": Out(1),
                "write_back": Out(1),
                "store_valid": Out(1),
                "store_address": Out(config.pa_width),
                "store_data": Out(64),
                "store_mask": Out(8),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config = self.config
        m.submodules.arrays = arrays = DataArrays(config)
        m.submodules.stores = stores = StoreBuffer(config)
        m.submodules.transfers = transfers = Transfers(config)
        m.submodules.streams = streams = StreamPrefetcher(config)
        m.submodules.tlb = tlb = Tlb(config)
        m.submodules.amo = amo = AmoAlu()
        connect(m, flipped(self.bus), transfers.bus)
        walker = self.walker_memory
        line_bits = config.pa_width - 6

        # -- the instruction in M, and the half of it that is looked up
        context = Signal(TranslationContext)
        is_load = Signal()
        is_store = Signal()
        reads = Signal()  # it needs the right to read
        atomic = Signal()
        offset = Signal(3)
        bytes_mask = Signal(16)  # of the first half's doubleword, and of the second's
        half_mask = Signal(8)  # of the half
        crosses = Signal()
        misaligned = Signal()
        second = Signal()  # the second half of a crossing access
        address = Signal(64)  # of the half
        first_dword = Signal(9)  # of the first half, in its page
        lookup_valid = Signal()  # the arrays answer for the instruction in M
        evaluate = Signal()  # what they answer is acted upon, whatever it is: if not `fast`, in the next cycle
        x_offset = self.x_address[:3]
        x_mask = Signal(16)
        x_crosses = Signal()
        x_reads = (self.x_kind == Memory.LOAD) | (self.x_kind == Memory.LOAD_RESERVED)
        m_access = Signal(Access)
        take_port = Signal()
        x_shift = Signal(3)
        alignment = Signal(Alignment)  # of the value, once it is in one doubleword
        m.d.comb += [
            x_mask.eq(((1 << (1 << self.x_size)) - 1) << x_offset),
            x_crosses.eq(x_mask[8:].any()),
            x_shift.eq(Mux(x_crosses, 0, x_offset)),
        ]
        m.d.sync += context.eq(self.context)
        with m.If(self.moves):
            m.d.sync += [
                is_load.eq(self.x_kind == Memory.LOAD),
                is_store.eq(self.x_kind == Memory.STORE),
                reads.eq(x_reads),
                alignment.shift.eq(x_shift),
                alignment.last.eq(last_byte(x_shift, self.x_size)),
                alignment.keep.eq(kept_bytes(self.x_size)),
                address.eq(self.x_address),
                offset.eq(x_offset),
                bytes_mask.eq(x_mask),
                half_mask.eq(x_mask[:8]),
                crosses.eq(x_crosses),
                misaligned.eq((x_offset & ((1 << self.x_size) - 1)).any()),
            ]

        def begin_second():
            m.d.sync += [
                known.eq(0),
                second.eq(1),
                first_dword.eq(address[3:12]),
                address.eq(Cat(Const(0, 3), address[3:] + 1)),
                half_mask.eq(bytes_mask[8:]),
            ]

        m.d.comb += atomic.eq(~is_load & ~is_store)

        # -- translation: the TLB's, or the walker's for this instruction
        known = Signal()
        known_ppn = Signal(config.ppn_width)
        known_cacheable = Signal()
        translated = Signal()
        cacheable = Signal()  # and translated
        by_tlb = Signal(2)
        ppn = Signal(config.ppn_width)
        waits_walk = Signal()
        m.d.comb += [
            m_access.eq(Mux(reads, Access.LOAD, Access.STORE)),
            tlb.access.eq(Mux(Mux(take_port, reads, x_reads), Access.LOAD, Access.STORE)),
            tlb.context.eq(self.context),
            translated.eq(known | tlb.hit),
            by_tlb.eq(Cat(tlb.way_hit[way] & tlb.way_cacheable[way] for way in range(2))),
            cacheable.eq(Mux(known, known_cacheable, by_tlb.any())),
            ppn.eq(Mux(known, known_ppn, tlb.ppn)),
            self.walk.va.eq(address),
            self.walk.access.eq(m_access),
            self.walk.context.eq(context),
            self.walk_valid.eq(waits_walk),
            tlb.fill_entry.eq(self.walk_response.entry),
            tlb.flush_valid.eq(self.sfence_valid),
            tlb.flush.eq(self.sfence),
            self.flushing.eq(tlb.busy),
        ]
        with m.If(second):
            m.d.comb += self.walk.length.eq((1 << self.m_size) - (8 - offset))
        with m.Elif(crosses):
            m.d.comb += self.walk.length.eq(8 - offset)
        with m.Else():
            m.d.comb += self.walk.length.eq(1 << self.m_size)

        # -- the lookup
        checking = Signal()  # the arrays answer for `client` (a register of its own: the hit waits for it)
        client = Signal(Client)
        client_line = Signal(line_bits)
        query_index = Signal(9)  # the doubleword that is looked up, and which of its bytes
        query_mask = Signal(8)
        conflict = Signal()
        line = Signal(line_bits)
        given_ppn = Signal(config.ppn_width)  # the client's page while `checking`, else the walker's answer
        is_given = known | checking
        with m.If(self.moves):
            m.d.sync += [query_index.eq(self.x_address[3:12]), query_mask.eq(x_mask[:8])]
        m.d.sync += [checking.eq(0), given_ppn.eq(known_ppn)]
        m.d.comb += [
            arrays.pages[0].eq(tlb.way_ppn[0]),
            arrays.pages[1].eq(tlb.way_ppn[1]),
            arrays.pages[2].eq(given_ppn),
            # (what is not cacheable is not in the cache)
            arrays.chosen.eq(Cat(tlb.way_hit)),
            arrays.given_page.eq(is_given),
            stores.query_index.eq(query_index),
            stores.query_mask.eq(query_mask),
            conflict.eq(stores.conflict),
            line.eq(Cat(address[6:12], ppn)),
        ]

        # -- load alignment: in the arrays, for an access within its doubleword. What comes from elsewhere (the bus, or
        # two halves) is given to the arrays as if it came from way 0.
        saved = Signal(64)
        given = Signal()  # `saved` holds what was loaded; a register of its own, as the next is: values wait for it
        reading_out = Signal()
        whole = Signal()  # the arrays' doubleword is wanted as it is
        m.d.sync += given.eq(0)
        m.d.comb += [
            whole.eq((checking | crosses | reading_out) & ~given),
            arrays.force.eq(given | reading_out),
            arrays.given.eq(given),
            arrays.given_word.eq(Mux(crosses, rotate_right_bytes(saved, offset), saved)),
            arrays.alignment.shift.eq(alignment.shift & (~whole).replicate(3)),
            arrays.alignment.last.eq(alignment.last),
            arrays.alignment.keep.eq(alignment.keep | whole.replicate(8)),
            arrays.alignment.signed.eq(~self.m_unsigned),
        ]

        # -- store lanes
        lanes = Signal(64)
        m.d.comb += [
            lanes.eq(rotate_left_bytes(self.m_data, offset)),
            transfers.single_address.eq(Cat(address[:12], known_ppn)),
            transfers.single_size.eq(self.m_size),
            transfers.single_data.eq(lanes),
            transfers.single_mask.eq(bytes_mask[:8]),
            transfers.single_write.eq(is_store),
        ]

        # -- replies: at once, or registered for the slow ways, so that the fast way's path stays short. Which way of
        # the TLB hits comes late, everything else is ready before.
        reply_fault = Signal()
        load_ready = Signal()
        store_ready = Signal()
        store_ends = Signal()
        through = Signal(2)  # over, if this way of the TLB hits
        store_through = Signal(2)
        known_fast = Signal()
        m.d.sync += self.reply.eq(0)
        m.d.comb += [
            load_ready.eq(self.m_valid & lookup_valid & is_load & ~crosses & ~conflict),
            store_ready.eq(self.m_valid & lookup_valid & is_store & ~crosses & ~stores.full),
            through.eq(
                Cat(
                    (load_ready & arrays.page_hit[way] | store_ready & tlb.way_cacheable[way]) & ~known
                    for way in range(2)
                )
            ),
            store_through.eq(Cat(store_ready & tlb.way_cacheable[way] & ~known for way in range(2))),
            known_fast.eq(known & (load_ready & arrays.page_hit[2] | store_ready & known_cacheable)),
            self.fast.eq(known_fast | (through & Cat(tlb.way_hit)).any()),
            self.loaded.eq(arrays.value),
            self.fault.eq(self.reply & reply_fault),
            self.tval.eq(address),
        ]

        def answer(data):
            m.d.sync += [self.reply.eq(1), reply_fault.eq(0), self.reply_data.eq(data)]

        def refuse(cause):
            m.d.sync += [self.reply.eq(1), reply_fault.eq(1), self.cause.eq(cause)]

        access_fault = Mux(reads, Cause.LOAD_ACCESS, Cause.STORE_ACCESS)
        misaligned_fault = Mux(reads, Cause.LOAD_MISALIGNED, Cause.STORE_MISALIGNED)

        # -- what the instruction in M waits for before it is looked up again
        needs_empty = Signal()  # older stores to drain
        needs_line = Signal()  # its line to be asked for
        waits_fill = Signal()  # any fill to end
        miss_line = Signal(line_bits)
        first_ppn = Signal(config.ppn_width)
        reservation_valid = Signal()
        reservation = Signal(line_bits)
        amo_way = Signal(range(config.cache_ways))
        store_waits = Signal()  # the store buffer's head waits for a fill
        walker_yields = Signal()  # the walker's doubleword is still in the store buffer, or that is full
        blocked = Signal()  # a line could not be asked for; try again when something has ended
        held_valid = Signal()  # a DMA write to `held_line` is under way
        held_line = Signal(line_bits)
        victim = Signal(range(config.cache_ways))
        evict_line = Signal(line_bits)
        evict_way = Signal.like(victim)
        evict_beat = Signal(range(LINE_BEATS + 1))
        evict_fill = Signal()  # a fill follows into the same way
        sweep = Signal(range(config.cache_sets))
        m.d.comb += arrays.force_way.eq(Mux(reading_out, evict_way, 0))

        # -- the lookup of the last cycle, to be acted upon unless it was `fast`, or only has to be repeated
        judge = Signal()
        was_translated = Signal()
        was_cacheable = Signal()
        was_hit = Signal()
        was_way = Signal(range(config.cache_ways))
        was_conflict = Signal()
        was_empty = Signal()
        was_ppn = Signal(config.ppn_width)
        was_value = Signal(64)
        was_line = Cat(address[6:12], was_ppn)
        m.d.sync += judge.eq(evaluate & ~self.fast & ~(is_load & conflict))
        with m.If(evaluate):
            m.d.sync += [
                was_translated.eq(translated),
                was_cacheable.eq(cacheable),
                was_hit.eq(arrays.hit),
                was_way.eq(arrays.hit_way),
                was_conflict.eq(conflict),
                was_empty.eq(stores.empty),
                was_ppn.eq(ppn),
                was_value.eq(arrays.value),
            ]

        # -- a client's lookup, likewise
        seen_hit = Signal()
        seen_way = Signal(range(config.cache_ways))
        seen_ways = Signal(config.cache_ways)
        seen_dirty = Signal(config.cache_ways)
        seen_victim_valid = Signal()
        seen_victim_ppn = Signal(config.ppn_width)
        seen_conflict = Signal()
        seen_filling = Signal()  # the line is on its way
        seen_victim_busy = Signal()  # a line is on its way into the victim's place
        seen_held = Signal()
        seen_written_back = Signal()
        m.d.sync += [
            seen_filling.eq(transfers.query_filling),
            seen_victim_busy.eq(transfers.query_ways.bit_select(victim, 1)),
            seen_held.eq(held_line == client_line),
            seen_written_back.eq(transfers.pending_line == client_line),
            seen_hit.eq(arrays.hit),
            seen_way.eq(arrays.hit_way),
            seen_ways.eq(arrays.hit_ways),
            seen_dirty.eq(arrays.dirty_ways),
            seen_victim_valid.eq(arrays.victim_valid),
            seen_victim_ppn.eq(arrays.victim_ppn),
            seen_conflict.eq(conflict),
        ]

        # -- the arrays' read port: X's, unless taken
        port_index = Signal(12)  # for `take_port`
        m.d.comb += [
            self.busy_port.eq(take_port | tlb.busy),
            arrays.index.eq(Mux(take_port, port_index, self.x_address[:12])),
            arrays.read.eq(take_port | self.x_memory),
            tlb.lookup_va.eq(Mux(take_port, address, self.x_address)),
            tlb.lookup_enable.eq(take_port | self.x_memory),
        ]
        m.d.sync += lookup_valid.eq(self.x_enters)

        # -- stores drain into the cache when nothing else writes it
        hold_stores = Signal()
        hear = Signal()
        m.d.comb += [
            arrays.word_index.eq(stores.head_address[3:12]),
            arrays.word_way.eq(stores.head_way),
            arrays.word_data.eq(stores.head_data),
            arrays.dirty_value.eq(1),
            arrays.tag_set.eq(client_line[:6]),
            arrays.tag_ppn.eq(client_line[6:]),
        ]
        with m.If(transfers.beat):
            m.d.comb += [
                arrays.word_index.eq(Cat(transfers.beat_index, transfers.beat_line[:6])),
                arrays.word_way.eq(transfers.beat_way),
                arrays.word_data.eq(transfers.beat_data),
                arrays.word_write.eq(0xFF),
            ]
        with m.Elif(stores.head_valid & stores.head_hit & ~hold_stores & ~hear):
            m.d.comb += [
                arrays.word_write.eq(stores.head_mask),
                arrays.dirty_write.eq(1 << stores.head_way),
                stores.pop.eq(1),
            ]
        # Stores hear a cycle later where their line is now, and nothing drains meanwhile: nobody gives the line away in
        # that time.
        line_found = Signal()
        line_lost = Signal()
        told = Signal()  # the head hears what it asked for (others may ask in vain, they must not keep it from asking)
        m.d.sync += [
            told.eq(0),
            stores.line.eq(client_line),
            stores.line_way.eq(Mux(seen_hit, seen_way, victim)),
            stores.line_found.eq(line_found),
            stores.line_lost.eq(line_lost),
        ]
        m.d.comb += [
            hear.eq(stores.line_found | stores.line_lost),
            stores.push_address.eq(Cat(address[:12], ppn)),
            stores.push_data.eq(lanes),
            stores.push_mask.eq(bytes_mask[:8]),
            stores.push_hit.eq(arrays.hit),
            stores.push_way.eq(arrays.hit_way),
            self.drained.eq(stores.empty),
        ]
        # a fill's last beat: its tag becomes valid, stores that waited for it may go
        with m.If(transfers.filled):
            m.d.comb += [
                arrays.tag_set.eq(transfers.beat_line[:6]),
                arrays.tag_ppn.eq(transfers.beat_line[6:]),
                arrays.tag_valid.eq(1),
                arrays.tag_write.eq(Mux(transfers.failed, 0, 1 << transfers.beat_way)),
                line_found.eq(~transfers.failed),
            ]
            m.d.sync += [
                told.eq(1),
                stores.line.eq(transfers.beat_line),
                stores.line_way.eq(transfers.beat_way),
            ]
            m.d.sync += [waits_fill.eq(0), store_waits.eq(0), blocked.eq(0)]
            with m.If(transfers.failed):
                with m.If(waits_fill & (miss_line == transfers.beat_line)):
                    refuse(access_fault)
                with m.If(store_waits & (stores.head_address[6:] == transfers.beat_line)):
                    m.d.comb += stores.pop.eq(1)  # DRAM answered for this address before; nobody is left to tell
        just_filled = Signal(2)  # in the last two cycles
        m.d.sync += just_filled.eq(Cat(transfers.filled, just_filled[0]))
        streams_go = Signal()
        m.d.comb += streams_go.eq(
            self.m_valid & lookup_valid & cacheable & (is_load | is_store) & (evaluate | arrays.hit)
        )
        # the prefetcher looks on a cycle later: it is in no hurry
        m.d.sync += [streams.access.eq(streams_go), streams.miss.eq(streams_go & ~arrays.hit)]
        with m.If(lookup_valid):
            m.d.sync += streams.line.eq(line)

        def act():
            """Acts upon what the lookup said: before a client that was chosen, which is then chosen again."""

            def go(state):
                m.d.sync += checking.eq(0)
                m.next = state

            with m.If(judge & self.m_valid):
                m.d.comb += [
                    stores.push_address.eq(Cat(address[:12], was_ppn)),
                    stores.push_hit.eq(was_hit),
                    stores.push_way.eq(was_way),
                ]
                with m.If(atomic & misaligned):
                    refuse(misaligned_fault)
                with m.Elif((self.m_memory == Memory.STORE_CONDITIONAL) & ~reservation_valid):
                    answer(1)
                with m.Elif(~was_translated):
                    m.d.comb += self.miss_tlb.eq(1)
                    m.d.sync += waits_walk.eq(1)
                with m.Elif(~was_cacheable):
                    with m.If(atomic | second):
                        refuse(access_fault)
                    with m.Elif(misaligned):
                        refuse(misaligned_fault)
                    with m.Elif(~stores.empty | transfers.writing_back):
                        m.d.sync += needs_empty.eq(1)
                    with m.Else():
                        m.d.sync += known_ppn.eq(was_ppn)
                        go("Single access")
                with m.Elif(is_store):
                    with m.If(crosses & ~second):
                        begin_second()
                        m.d.sync += first_ppn.eq(was_ppn)
                    # (else it is over: `fast`)
                    with m.Elif(second & ~stores.nearly_full):
                        m.d.comb += [
                            stores.push.eq(1),
                            stores.push_mask.eq(bytes_mask[8:]),
                            stores.push_hit.eq(0),
                        ]
                        go("Store the first half")
                with m.Elif(atomic & ~was_empty):
                    m.d.sync += needs_empty.eq(1)
                with m.Elif(~was_hit):
                    m.d.sync += [needs_line.eq(1), miss_line.eq(was_line)]
                with m.Elif(was_conflict):
                    pass  # look again
                with m.Elif(is_load):
                    # (else it is over: `fast`)
                    with m.If(second):
                        m.d.sync += [saved.eq(wrap_bytes(saved, was_value, offset)), given.eq(1)]
                        go("Align what came")
                    with m.Elif(crosses):
                        begin_second()
                        m.d.sync += saved.eq(was_value)
                with m.Elif(self.m_memory == Memory.LOAD_RESERVED):
                    answer(was_value)
                    m.d.sync += [reservation_valid.eq(1), reservation.eq(was_line)]
                with m.Elif(self.m_memory == Memory.STORE_CONDITIONAL):
                    m.d.comb += stores.push.eq(reservation == was_line)
                    m.d.sync += reservation_valid.eq(0)
                    answer(reservation != was_line)
                with m.Else():
                    m.d.sync += [saved.eq(was_value), amo_way.eq(was_way), first_ppn.eq(was_ppn)]
                    go("Modify")

        with m.FSM(name="sequencer", init="Clear the tags") as sequencer:
            with m.State("Clear the tags"):
                m.d.comb += [
                    arrays.tag_set.eq(sweep),
                    arrays.tag_write.eq(~0),
                ]
                m.d.sync += sweep.eq(sweep + 1)
                with m.If(sweep == config.cache_sets - 1):
                    m.next = "Ready"

            with m.State("Ready"):
                m.d.comb += evaluate.eq(self.m_valid & lookup_valid)

                # Who gets the port next: it is theirs in the next cycle, so that whether X may use it is known from a
                # register.
                store_wants = stores.head_valid & ~stores.head_hit & ~store_waits & ~blocked & ~told
                repeat = (
                    self.m_valid
                    & ~lookup_valid
                    & ~judge
                    & ~self.reply
                    & ~waits_walk
                    & ~waits_fill
                    & ~needs_line
                    & (~needs_empty | (stores.empty & ~transfers.writing_back))
                    & ~tlb.busy
                )
                outside = (walker.address < DRAM_BASE) | (walker.address >= self.ram_end)

                def serve(who, address):
                    m.d.sync += [client.eq(who), client_line.eq(address[6:]), port_index.eq(address[:12])]
                    m.next = "Read for a client"

                with m.If(repeat):
                    m.d.sync += [port_index.eq(address[:12]), needs_empty.eq(0)]
                    m.next = "Read again"
                with m.Elif(walker.valid & ~(walker_yields & store_wants)):
                    with m.If(outside):
                        m.next = "Refuse the walker"
                    with m.Elif(~blocked):
                        serve(Client.WALKER, walker.address)
                with m.Elif(self.dma_probe.valid & ~transfers.writing_back):
                    serve(Client.DMA_PROBE, self.dma_probe.address)
                with m.Elif(self.fetch_probe.valid & ~transfers.writing_back):
                    serve(Client.FETCH_PROBE, self.fetch_probe.address)
                with m.Elif(needs_line & ~blocked):
                    serve(Client.DEMAND, Cat(Const(0, 6), miss_line))
                with m.Elif(store_wants):
                    serve(Client.STORE, stores.head_address)
                with m.Elif(streams.valid & ~blocked & transfers.fill_ready):
                    serve(Client.PREFETCH, Cat(Const(0, 6), streams.prefetch))

                act()

            # (in all states but this one, the port is the sequencer's)
            with m.State("Read again"):
                m.d.sync += [lookup_valid.eq(1), query_index.eq(address[3:12]), query_mask.eq(half_mask)]
                m.next = "Ready"

            with m.State("Read for a client"):
                # an instruction that entered M in the last cycle may end here (`fast`), else it is looked up again
                m.d.sync += [
                    checking.eq(1),
                    given_ppn.eq(client_line[6:]),
                    query_index.eq(port_index[3:12]),
                    query_mask.eq(0xFF),
                ]
                m.next = "Check"
                act()

            with m.State("Refuse the walker"):
                m.d.comb += [walker.done.eq(1), walker.error.eq(1)]
                m.next = "Ready"

            with m.State("Check"):
                m.d.comb += [
                    hold_stores.eq(1),
                    arrays.dirty_set.eq(client_line[:6]),
                    arrays.victim_way.eq(victim),
                ]
                m.d.sync += walker.data.eq(arrays.value)
                m.next = "Decide"

            with m.State("Decide"):
                is_probe = (client == Client.FETCH_PROBE) | (client == Client.DMA_PROBE)
                flush = (client == Client.DMA_PROBE) & (self.dma_probe.kind == Probe.FLUSH)
                dirty = Signal()
                hit_dirty = Signal()
                m.d.comb += [
                    hold_stores.eq(1),
                    dirty.eq(seen_dirty.bit_select(victim, 1) & seen_victim_valid),
                    hit_dirty.eq((seen_dirty & seen_ways).any()),
                ]
                m.next = "Ready"
                m.d.sync += port_index[:6].eq(0)  # if it is to be read out: from its first doubleword on
                # a fill ends in this very cycle: its tag takes the write port, look again; so too where it ended since
                # the lookup, which read the tag as it was before
                with m.If(~transfers.filled & ~just_filled.any()):
                    with m.If(is_probe):
                        with m.If(seen_hit & (hit_dirty | flush)):
                            m.d.sync += [
                                evict_line.eq(client_line),
                                evict_way.eq(seen_way),
                                evict_beat.eq(0),
                                evict_fill.eq(0),
                            ]
                            m.d.comb += [
                                arrays.dirty_write.eq(seen_ways),
                                arrays.dirty_value.eq(0),
                            ]
                            with m.If(flush):
                                m.d.comb += [arrays.tag_write.eq(seen_ways), line_lost.eq(1)]
                            with m.If(hit_dirty):
                                m.d.sync += reading_out.eq(1)
                                m.next = "Read out"
                        with m.Elif(~(flush & seen_filling)):
                            with m.If(client == Client.DMA_PROBE):
                                m.d.comb += self.dma_probe.done.eq(1)
                                with m.If(flush):
                                    m.d.sync += [held_valid.eq(1), held_line.eq(client_line)]
                                    with m.If(reservation == client_line):
                                        m.d.sync += reservation_valid.eq(0)
                            with m.Else():
                                m.d.comb += self.fetch_probe.done.eq(1)
                    with m.Elif(seen_hit):
                        m.d.comb += line_found.eq(1)
                        m.d.sync += told.eq(client == Client.STORE)
                        with m.If(client == Client.DEMAND):
                            m.d.sync += needs_line.eq(0)
                        with m.If(client == Client.PREFETCH):
                            m.d.comb += streams.take.eq(1)
                        # the head of a full store buffer may need the port before there is room for the walker's bits
                        m.d.sync += walker_yields.eq(
                            (client == Client.WALKER) & (seen_conflict | (walker.set_bits & stores.full))
                        )
                        with m.If((client == Client.WALKER) & ~seen_conflict):
                            m.next = "Answer the walker"
                    with m.Elif(seen_filling):
                        with m.If(client == Client.DEMAND):
                            m.d.sync += [needs_line.eq(0), waits_fill.eq(1)]
                        with m.If(client == Client.STORE):
                            m.d.sync += store_waits.eq(1)
                        with m.If(client == Client.PREFETCH):
                            m.d.comb += streams.take.eq(1)
                        with m.If(client == Client.WALKER):
                            m.d.sync += blocked.eq(1)
                    with m.Elif(
                        ~transfers.fill_ready
                        | (held_valid & seen_held)
                        | (transfers.writing_back & seen_written_back)
                        | (dirty & transfers.writing_back)
                    ):
                        m.d.sync += blocked.eq(1)
                        with m.If(client == Client.PREFETCH):
                            m.d.comb += streams.take.eq(1)
                    with m.Elif(seen_victim_busy):
                        m.d.sync += victim.eq(victim + 1)
                        if config.cache_ways == 1:
                            m.d.sync += blocked.eq(1)
                    with m.Else():
                        m.d.comb += [
                            arrays.tag_write.eq(1 << victim),
                            arrays.dirty_write.eq(1 << victim),
                            arrays.dirty_value.eq(0),
                            line_lost.eq(1),
                            transfers.fill.eq(1),
                            self.miss.eq((client == Client.DEMAND) | (client == Client.STORE)),
                            self.write_back.eq(dirty),
                        ]
                        m.d.sync += [
                            evict_line.eq(Cat(client_line[:6], seen_victim_ppn)),
                            evict_way.eq(victim),
                            evict_beat.eq(0),
                            victim.eq(victim + 1),
                        ]
                        with m.If(client == Client.DEMAND):
                            m.d.sync += [needs_line.eq(0), waits_fill.eq(1)]
                        with m.If(client == Client.STORE):
                            m.d.sync += store_waits.eq(1)
                        with m.If(client == Client.PREFETCH):
                            m.d.comb += streams.take.eq(1)
                        with m.If(client == Client.WALKER):
                            m.d.sync += blocked.eq(1)
                        with m.If(dirty):
                            m.d.sync += reading_out.eq(1)
                            m.next = "Read out"

            with m.State("Read out"):
                # the fill that wants this way may already be answered: its data waits on the bus
                m.d.comb += [
                    hold_stores.eq(1),
                    transfers.store_beat.eq(evict_beat != 0),
                    transfers.store_index.eq(evict_beat - 1),
                ]
                m.d.sync += [evict_beat.eq(evict_beat + 1), port_index[3:6].eq(evict_beat + 1)]
                with m.If(evict_beat == LINE_BEATS):
                    m.d.comb += transfers.write_back.eq(1)
                    m.d.sync += reading_out.eq(0)
                    m.next = "Ready"

            with m.State("Answer the walker"):
                # the doubleword is still what was read: nobody else has been served since
                m.d.comb += [walker.done.eq(1)]
                m.next = "Ready"
                with m.If(walker.set_bits & (walker.data == walker.expected)):
                    m.d.comb += [
                        walker.done.eq(~stores.full),
                        stores.push.eq(~stores.full),
                        stores.push_address.eq(walker.address),
                        stores.push_data.eq(walker.expected | walker.bits),
                        stores.push_mask.eq(0xFF),
                        stores.push_hit.eq(0),
                    ]

            with m.State("Store the first half"):
                m.d.comb += [
                    stores.push.eq(~stores.full),
                    stores.push_address.eq(Cat(Const(0, 3), first_dword, first_ppn)),
                    stores.push_hit.eq(0),
                ]
                with m.If(~stores.full):
                    answer(0)
                    m.next = "Ready"

            with m.State("Align what came"):
                answer(arrays.value)
                m.next = "Ready"

            with m.State("Modify"):
                m.d.comb += [
                    stores.push_data.eq(Cat(amo.result[:32], Mux(offset[2], amo.result[:32], amo.result[32:]))),
                    stores.push.eq(1),
                    stores.push_address.eq(Cat(address[:12], first_ppn)),
                    stores.push_hit.eq(1),
                    stores.push_way.eq(amo_way),
                ]
                answer(saved)
                m.next = "Ready"

            with m.State("Single access"):
                m.d.comb += [transfers.single.eq(1)]
                m.d.sync += saved.eq(transfers.single_read_data)
                with m.If(transfers.single_done):
                    m.d.sync += given.eq(1)
                    m.next = "Align what came"
                    with m.If(transfers.single_error):
                        refuse(access_fault)
                        m.d.sync += given.eq(0)
                        m.next = "Ready"

        m.d.comb += [
            self.amo_result.eq(amo.result),
            amo.op.eq(self.m_amo),
            amo.memory.eq(saved),
            amo.register.eq(self.m_data),
            amo.size.eq(self.m_size),
            transfers.query_line.eq(client_line),
            transfers.hold_beats.eq(reading_out),
            transfers.fill_line.eq(client_line),
            transfers.fill_way.eq(victim),
            transfers.store_data.eq(arrays.value),
            transfers.write_back_line.eq(evict_line),
        ]

        m.d.comb += [
            take_port.eq(~sequencer.ongoing("Ready")),
            # (what writes here is known late, where to is not)
            arrays.dirty_write_set.eq(Mux(sequencer.ongoing("Decide"), client_line[:6], stores.head_address[6:12])),
            store_ends.eq(
                (known & store_ready & known_cacheable) | (store_through & Cat(tlb.way_hit)).any(),
            ),
        ]
        with m.If(store_ends):
            m.d.comb += stores.push.eq(1)

        # -- the walker's answer
        with m.If(waits_walk & self.walk_done):
            m.d.sync += waits_walk.eq(0)
            with m.If(self.walk_response.fault):
                refuse(self.walk_response.cause)
            with m.Else():
                m.d.comb += tlb.fill_valid.eq(~self.walk_response.entry.mixed)
                m.d.sync += [
                    known.eq(1),
                    known_ppn.eq(self.walk_response.entry.ppn),
                    known_cacheable.eq(self.walk_response.entry.cacheable),
                ]
        with m.If(self.dma_probe.release):
            m.d.sync += held_valid.eq(0)
        with m.If(transfers.written | self.dma_probe.release):
            m.d.sync += blocked.eq(0)

        # -- the instruction leaves
        with m.If((self.fast | self.reply) & self.m_valid):
            m.d.sync += [known.eq(0), second.eq(0), needs_empty.eq(0)]

        m.d.comb += [
            self.store_valid.eq(stores.push),
            self.store_address.eq(stores.push_address),
            self.store_data.eq(stores.push_data),
            self.store_mask.eq(stores.push_mask),
        ]
        return m


def rotate_right_bytes(word, count):
    """`word` rotated right by `count` bytes (0..7), as three stages of multiplexers."""
    for stage in range(3):
        bits = 8 << stage
        word = Mux(count[stage], Cat(word[bits:], word[:bits]), word)
    return word


def rotate_left_bytes(word, count):
    """`word` rotated left by `count` bytes (0..7)."""
    for stage in range(3):
        bits = 8 << stage
        word = Mux(count[stage], Cat(word[-bits:], word[:-bits]), word)
    return word


def wrap_bytes(low, high, offset):
    """The bytes of `low` from lane `offset` on; below, those of `high`: what is left is to rotate them."""
    return Cat(Mux(offset > byte, high.word_select(byte, 8), low.word_select(byte, 8)) for byte in range(8))
