"""Fetch control: which block comes next, and what to do when it is not at hand.

The address of the next block never waits for this one. A block that missed is read again when its translation or its
line has come, and what was read behind it is forgotten. A predicted jump is obeyed from a register: the block behind it
is read and forgotten, then its target is read. That bubble hides behind the buffer as long as the program runs at less
than a block a cycle.
"""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from ...bus import axi4
from ..config import CoreConfig
from ..interfaces import (
    Access,
    Cause,
    ProbeSignature,
    SfenceRequest,
    TranslationContext,
    walk_request_layout,
    walk_response_layout,
)
from ..mmu.tlb import Tlb
from .buffer import FetchBuffer
from .icache import InstructionCache
from .predictor import Predictor, Repair, Target, Training
from .queue import DecodeSignature, InstructionQueue


class Fetch(wiring.Component):
    """The front end.

    Parameters
    ----------
    config : CoreConfig

    Members
    -------
    instruction : Out(DecodeSignature)
        To decode.
    redirect : In(1), redirect_pc : In(64)
        Go there instead; taken at once.
    training : In(Training), repair : In(Repair)
        To the predictor.
    hold : In(1)
        Begin nothing new: a fence is at work.
    idle : Out(1)
        No refill or translation is under way (counted while `hold`).
    context : In(TranslationContext)
        Of the current privilege mode, a cycle ahead.
    flush_cache : In(1)
        FENCE.I, while `hold` and `idle`; `flushing` until it is done.
    sfence_valid : In(1), sfence : In(SfenceRequest)
        SFENCE.VMA for the instruction TLB, likewise.
    flushing : Out(1)
        A flush is under way.
    walk_valid : Out(1), walk : Out(walk_request_layout)
        Translation wanted; held until the response.
    walk_done : In(1), walk_response : In(walk_response_layout)
        The answer.
    probe : Out(ProbeSignature), bus : Out(axi4.Signature)
        Of the instruction cache.
    miss_cache, miss_tlb : Out(1)
        Events.
    """

    def __init__(self, config: CoreConfig):
        self.config = config
        super().__init__(
            {
                "instruction": Out(DecodeSignature(config)),
                "redirect": In(1),
                "redirect_pc": In(64),
                "training": In(Training(config)),
                "repair": In(Repair(config)),
                "hold": In(1),
                "idle": Out(1),
                "context": In(TranslationContext),
                "flush_cache": In(1),
                "sfence_valid": In(1),
                "sfence": In(SfenceRequest),
                "flushing": Out(1),
                "walk_valid": Out(1),
                "walk": Out(walk_request_layout()),
                "walk_done": In(1),
                "walk_response": In(walk_response_layout(config)),
                "probe": Out(ProbeSignature(config)),
                "bus": Out(axi4.Signature(addr_width=config.pa_width, data_width=64, id_width=1)),
                "miss_cache": Out(1),
                "miss_tlb": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config = self.config
        m.submodules.cache = cache = InstructionCache(config)
        m.submodules.tlb = tlb = Tlb(config)
        m.submodules.predictor = predictor = Predictor(config)
        m.submodules.buffer = buffer = FetchBuffer(config)
        m.submodules.queue = queue = InstructionQueue(config)
        connect(m, buffer.instruction, queue.aligned)
        connect(m, flipped(self.instruction), queue.instruction)
        connect(m, flipped(self.training), predictor.training)
        connect(m, flipped(self.repair), predictor.repair)
        connect(m, flipped(self.probe), cache.probe)
        connect(m, flipped(self.bus), cache.bus)

        context = Signal(TranslationContext)
        m.d.sync += context.eq(self.context)
        pc = Signal(64, init=config.reset_pc)
        next_pc = Signal(64)
        looked_up = Signal()  # the arrays answer for `pc`
        jumps = Signal()  # but the program went to `jump_target` before
        jump_target = Signal(Target)
        fault_waits = Signal()  # a fault was pushed: nothing more to fetch until a redirect
        abandoned = Signal()  # a redirect came while a walk or refill was under way
        walk_va = Signal(64)
        walk_short = Signal()  # asks for the lower four bytes of the block only
        walk_context = Signal(TranslationContext)
        fault_page = Signal()

        single = Signal()  # the walker's answer for `pc`
        single_ppn = Signal(config.ppn_width)
        single_short = Signal()
        walk_upper = Signal()  # the lower half is known to be allowed
        m.d.comb += walk_upper.eq(walk_short & walk_va[2])

        # -- next address
        proceed = Signal()
        missed = Signal()
        sequential = Cat(Const(0, 3), pc[3:] + 1)
        m.d.comb += [
            next_pc.eq(pc),
            predictor.next_pc.eq(next_pc),
            predictor.pc.eq(pc),
            cache.index.eq(next_pc[:12]),
            tlb.lookup_va.eq(next_pc),
            cache.read.eq(proceed),
            tlb.lookup_enable.eq(proceed),
            predictor.read.eq(proceed),
        ]
        with m.If(looked_up):
            m.d.comb += next_pc.eq(Mux(jumps, jump_target.address(), sequential))
        with m.If(self.redirect):
            m.d.comb += next_pc.eq(self.redirect_pc)

        # -- the block that was read last
        m.d.comb += [
            tlb.access.eq(Access.FETCH),
            tlb.context.eq(self.context),
            cache.pages[0].eq(tlb.way_ppn[0]),
            cache.pages[1].eq(tlb.way_ppn[1]),
            cache.pages[2].eq(single_ppn),
            cache.chosen.eq(Mux(single, 4, Cat(tlb.way_hit))),
            buffer.redirect.eq(self.redirect),
            queue.redirect.eq(self.redirect),
            buffer.redirect_pc.eq(self.redirect_pc),
            buffer.block.bytes.eq(cache.block),
            buffer.block.fault.upper.eq(single & single_short),
            buffer.block.prediction.eq(predictor.prediction),
            buffer.block.target.eq(predictor.target),
            self.walk.va.eq(walk_va),
            self.walk.access.eq(Access.FETCH),
            self.walk.context.eq(walk_context),
            self.walk.length.eq(Mux(walk_short, 4 - walk_va[:2], 8 - walk_va[:3])),
            tlb.fill_entry.eq(self.walk_response.entry),
            tlb.flush.eq(self.sfence),
            tlb.flush_valid.eq(self.sfence_valid),
            cache.flush.eq(self.flush_cache),
            self.flushing.eq(tlb.busy | cache.busy),
            cache.refill_address.eq(Cat(pc[:12], tlb.ppn)),
        ]
        # a page that PMP splits is never in the TLB: its translation serves the one block
        hit_page = Signal()
        with m.If(single):
            m.d.comb += cache.refill_address.eq(Cat(pc[:12], single_ppn))
        m.d.comb += hit_page.eq(tlb.hit | single)
        m.d.sync += [jumps.eq(0), jump_target.eq(predictor.target)]

        with m.FSM(name="control"):
            with m.State("Stream"):
                m.d.comb += self.idle.eq(1)
                with m.If(looked_up & ~fault_waits):
                    m.d.comb += [
                        buffer.block.valid.eq(cache.hit & buffer.ready & ~jumps & ~self.redirect),
                        predictor.accept.eq(buffer.block.valid),
                        missed.eq(~cache.hit & ~jumps),
                        proceed.eq(buffer.ready | jumps),
                    ]
                    m.d.sync += jumps.eq(buffer.block.valid & predictor.prediction.taken)
                    with m.If(missed & ~self.redirect):
                        m.d.sync += looked_up.eq(0)
                        with m.If(self.hold):
                            pass
                        with m.Elif(hit_page):
                            m.d.comb += [cache.refill.eq(1), self.miss_cache.eq(1)]
                            m.next = "Refill"
                        with m.Else():
                            m.d.comb += self.miss_tlb.eq(1)
                            m.d.sync += [walk_va.eq(pc), walk_short.eq(0), walk_context.eq(context)]
                            m.next = "Walk"
                with m.Elif(~fault_waits & ~self.hold & ~cache.busy & ~tlb.busy):
                    m.d.comb += proceed.eq(1)
                    m.d.sync += looked_up.eq(1)
                with m.If(buffer.block.valid):
                    m.d.sync += single.eq(0)
            with m.State("Refill"):
                with m.If(cache.refill_done):
                    with m.If(cache.refill_error & ~abandoned & ~self.redirect):
                        m.d.sync += fault_page.eq(0)
                        m.next = "Fault"
                    with m.Else():
                        m.next = "Stream"
                    m.d.sync += abandoned.eq(0)
            with m.State("Walk"):
                m.d.comb += self.walk_valid.eq(1)
                with m.If(self.walk_done):
                    m.d.sync += abandoned.eq(0)
                    m.next = "Stream"
                    with m.If(self.walk_response.fault & ~walk_upper):
                        # PMP may split the block: its lower half may still be fetched
                        with m.If(
                            (self.walk_response.cause == Cause.FETCH_ACCESS)
                            & ~walk_short
                            & ~walk_va[2]
                            & ~abandoned
                            & ~self.redirect
                        ):
                            m.d.sync += walk_short.eq(1)
                            m.next = "Walk"
                        with m.Elif(~abandoned & ~self.redirect):
                            m.d.sync += fault_page.eq(self.walk_response.cause == Cause.FETCH_PAGE)
                            m.next = "Fault"
                    with m.Elif(walk_short & ~walk_upper & ~abandoned & ~self.redirect):
                        # and so may its upper half, by another entry
                        m.d.sync += [single_ppn.eq(self.walk_response.entry.ppn), walk_va[2].eq(1), walk_va[:2].eq(0)]
                        m.next = "Walk"
                    with m.Else():
                        m.d.comb += tlb.fill_valid.eq(~self.walk_response.entry.mixed & ~walk_short)
                        m.d.sync += [
                            single.eq(~abandoned & ~self.redirect),
                            single_short.eq(walk_upper & self.walk_response.fault),
                        ]
                        with m.If(~walk_upper):
                            m.d.sync += single_ppn.eq(self.walk_response.entry.ppn)
            with m.State("Fault"):
                m.d.comb += [
                    self.idle.eq(1),
                    buffer.block.valid.eq(buffer.ready & ~self.redirect),
                    buffer.block.fault.valid.eq(1),
                    buffer.block.fault.upper.eq(0),
                    buffer.block.fault.page.eq(fault_page),
                    buffer.block.prediction.eq(0),
                ]
                with m.If(self.redirect):
                    m.next = "Stream"
                with m.Elif(buffer.ready):
                    m.d.sync += fault_waits.eq(1)
                    m.next = "Stream"

        with m.If(proceed & ~missed):
            m.d.sync += pc.eq(next_pc)
        with m.If(self.redirect):
            m.d.comb += proceed.eq(~cache.busy & ~tlb.busy & ~self.hold)
            m.d.sync += [pc.eq(self.redirect_pc), looked_up.eq(proceed), fault_waits.eq(0), single.eq(0)]
            with m.If(~self.idle):
                m.d.sync += [abandoned.eq(~(cache.refill_done | self.walk_done)), looked_up.eq(0)]
        return m
