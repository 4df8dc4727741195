"""The page-table walker: what a TLB asks when it has no answer.

It walks Sv39 tables as Privileged 4.3.2 says, sets A and D in hardware (Svadu), and joins what the PTE, the physical
memory attributes and PMP allow into one TLB entry, or says which fault it is. Bare translations come here too and give
identity entries. PTEs in DRAM are read while PMP still looks at their address: such a read has no side effect, so only
its result must be withheld. Elsewhere PMP comes first.

Where the specification leaves a choice:

- Non-leaf PTEs with A, D or U set, and any of bits 63:54 (N, PBMT, reserved), are page faults.
- A PTE that needs A or D but lies outside DRAM, or where PMP forbids S-mode to write, is an access fault.
- A bus error on a PTE is an access fault; so is any address that does not fit into `pa_width`.
"""

from amaranth.hdl import Cat, Const, Elaboratable, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ..config import PAGE_BITS, CoreConfig
from ..interfaces import (
    Access,
    Cause,
    Privilege,
    Space,
    WalkerMemory,
    walk_request_layout,
    walk_response_layout,
)
from .pmp import PmpCheck

LEVELS = 3
LEVEL_BITS = 9
PTE_BITS = 3  # log2 of its bytes
DRAM_BASE = 0x8000_0000
BARE_PTE = 0xDF  # all rights, A, D, U: what a bare translation behaves like
# Where instructions may come from beside DRAM: boot ROM and flash.
FETCH_REGIONS = ((0x1000, 0x1_0000), (0x2000_0000, 0x2400_0000))


class PageTableEntry(data.Struct):
    """A PTE (Privileged figure 4.21)."""

    valid: 1
    read: 1
    write: 1
    execute: 1
    user: 1
    is_global: 1
    accessed: 1
    dirty: 1
    software: 2
    ppn: 44
    reserved: 10  # with PBMT and N, which are not implemented


class Walker(wiring.Component):
    """Page-table walker with hardware A/D update, PMA and PMP checks; one walk at a time.

    Parameters
    ----------
    config : CoreConfig
        `pa_width`.
    fetch_regions : sequence of (start, end)
        Byte addresses, whole pages, from which instructions may be fetched beside DRAM. Data may be anywhere.

    Members
    -------
    request : In(stream.Signature(walk_request_layout()))
        A translation is wanted.
    response : Out(stream.Signature(walk_response_layout(config)))
        The answer; stays as it is until the next request is taken.
    memory : Out(WalkerMemory(config))
        PTE accesses.
    check : Out(PmpCheck(config))
        To `Pmp`.
    ram_end : In(pa_width)
        First address past DRAM, which begins at 0x8000_0000; a whole page.
    """

    def __init__(self, config: CoreConfig, *, fetch_regions: tuple[tuple[int, int], ...] = FETCH_REGIONS):
        for start, end in fetch_regions:
            if not 0 <= start < end <= 1 << config.pa_width or start % (1 << PAGE_BITS) or end % (1 << PAGE_BITS):
                raise ValueError(
                    f"fetch region must be whole pages below 2**{config.pa_width}, not {start:#x}..{end:#x}"
                )
        self._config = config
        self._fetch_regions = tuple(fetch_regions)
        super().__init__(
            {
                "request": In(stream.Signature(walk_request_layout())),
                "response": Out(stream.Signature(walk_response_layout(config))),
                "memory": Out(WalkerMemory(config)),
                "check": Out(PmpCheck(config)),
                "ram_end": In(config.pa_width),
            }
        )

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        config = self._config
        memory, check = self.memory, self.check
        ppn_width = config.ppn_width

        # --- the walk's registers: the request, taken apart, and how far it has got ---
        va = Signal(64)
        access = Signal(Access)
        privilege = Signal(Privilege)
        translated = Signal()
        asid = Signal(16)
        supervisor_user_memory = Signal()  # SUM
        make_executable_readable = Signal()  # MXR
        length = Signal(4)
        fetch, load, store = (access == kind for kind in (Access.FETCH, Access.LOAD, Access.STORE))

        table = Signal(44)  # PPN of the current table, later of the page
        level = Signal(range(LEVELS))
        pte = Signal(PageTableEntry)
        is_global = Signal()  # by a pointer PTE, or bare
        superpage = Signal()
        pte_checked = Signal()  # PMP has answered on this PTE
        pte_allowed = Signal()
        pte_writable = Signal()
        pte_read = Signal()  # the memory has answered
        pte_error = Signal()
        mixed = Signal()
        fault = Signal()
        page_fault = Signal()
        read, write, execute, execute_readable = (
            Signal(name=name) for name in ("read", "write", "execute", "execute_readable")
        )

        def is_dram(ppn: Value) -> Value:
            return (ppn >= DRAM_BASE >> PAGE_BITS) & (ppn < self.ram_end[PAGE_BITS:])

        # One place for every address there is: the PTE's while walking, then the page's.
        ppn = table[:ppn_width]
        beyond = table[ppn_width:].any()
        in_dram = Signal()
        m.d.comb += in_dram.eq(is_dram(ppn))
        may_fetch = in_dram
        for start, end in self._fetch_regions:
            may_fetch |= (ppn >= start >> PAGE_BITS) & (ppn < end >> PAGE_BITS)

        vpn = va[PAGE_BITS : PAGE_BITS + LEVELS * LEVEL_BITS]
        pte_offset = Cat(Const(0, PTE_BITS), vpn.word_select(level, LEVEL_BITS))
        offset = va[:PAGE_BITS]

        m.d.comb += [
            memory.address.eq(Cat(pte_offset, ppn)),
            memory.expected.eq(pte),
            check.ppn.eq(ppn),
        ]

        # --- the answer ---
        # It reads the registers of the walk, which stay as they are until the next request.
        response = self.response.payload
        entry = response.entry
        with m.If(fetch):
            m.d.comb += response.cause.eq(Mux(page_fault, Cause.FETCH_PAGE.value, Cause.FETCH_ACCESS.value))
        with m.Elif(load):
            m.d.comb += response.cause.eq(Mux(page_fault, Cause.LOAD_PAGE.value, Cause.LOAD_ACCESS.value))
        with m.Else():
            m.d.comb += response.cause.eq(Mux(page_fault, Cause.STORE_PAGE.value, Cause.STORE_ACCESS.value))
        m.d.comb += [
            response.fault.eq(fault),
            entry.valid.eq(~fault),
            entry.space.eq(
                Mux(
                    translated,
                    Space.TRANSLATED.value,
                    Mux(privilege == Privilege.MACHINE, Space.BARE_M.value, Space.BARE_SU.value),
                )
            ),
            entry.vpn.eq(vpn),
            entry.asid.eq(asid),
            entry.is_global.eq(is_global | pte.is_global),
            entry.superpage.eq(superpage),
            entry.ppn.eq(ppn),
            entry.user.eq(pte.user),
            entry.read.eq(read),
            entry.write.eq(write),
            entry.execute.eq(execute),
            entry.execute_readable.eq(execute_readable),
            entry.cacheable.eq(in_dram),
            entry.mixed.eq(mixed),
        ]

        def fail(*, page: bool) -> None:
            """End the walk with a page fault or an access fault of the request's kind."""
            m.d.sync += [fault.eq(1), page_fault.eq(page)]
            m.next = "Answer"

        # --- what the PTE says (steps 3 to 6), and whether it must change (step 7) ---
        leaf = pte.read | pte.write | pte.execute
        malformed = ~pte.valid | (pte.write & ~pte.read) | pte.reserved.any()
        pointer_malformed = pte.user | pte.accessed | pte.dirty | (level == 0)
        user_permitted = Mux(privilege == Privilege.USER, pte.user, ~pte.user | (supervisor_user_memory & ~fetch))
        access_permitted = Signal()
        with m.Switch(access):
            with m.Case(Access.FETCH):
                m.d.comb += access_permitted.eq(pte.execute)
            with m.Case(Access.LOAD):
                m.d.comb += access_permitted.eq(pte.read | (make_executable_readable & pte.execute))
            with m.Default():
                m.d.comb += access_permitted.eq(pte.write)
        misaligned = ((level >= 1) & pte.ppn[:LEVEL_BITS].any()) | (
            (level >= 2) & pte.ppn[LEVEL_BITS : 2 * LEVEL_BITS].any()
        )
        pte_faults = Signal()
        m.d.comb += pte_faults.eq(
            malformed | Mux(leaf, ~user_permitted | ~access_permitted | misaligned, pointer_malformed)
        )
        sets_dirty = store & ~pte.dirty
        updates = ~pte.accessed | sets_dirty
        m.d.comb += memory.bits.eq(Cat(Const(0, 6), 1, sets_dirty))
        # A superpage's low PPN bits come from the address: this TLB entry is a 4 KiB fragment of it.
        next_table = Signal(44)  # or the page
        m.d.comb += next_table.eq(
            Cat(
                Mux(leaf & (level >= 1), vpn[:LEVEL_BITS], pte.ppn[:LEVEL_BITS]),
                Mux(leaf & (level >= 2), vpn[LEVEL_BITS : 2 * LEVEL_BITS], pte.ppn[LEVEL_BITS : 2 * LEVEL_BITS]),
                pte.ppn[2 * LEVEL_BITS :],
            )
        )
        # --- what PMP and PMA say of the page; a store has D set by now ---
        readable_page = pte.read & check.read
        writable_page = pte.write & (pte.dirty | store) & check.write
        executable_page = pte.execute & check.execute & may_fetch
        read_through_execute = pte.execute & check.read
        allowed = Signal()
        with m.Switch(access):
            with m.Case(Access.FETCH):
                m.d.comb += allowed.eq(check.execute & may_fetch)
            with m.Case(Access.LOAD):
                m.d.comb += allowed.eq(check.read)
            with m.Default():
                m.d.comb += allowed.eq(check.write)

        def finish() -> None:
            """PMP has decided on all bytes that were asked about."""
            m.d.sync += [
                read.eq(readable_page),
                write.eq(writable_page),
                execute.eq(executable_page),
                execute_readable.eq(read_through_execute),
            ]
            m.next = "Answer"
            with m.If(~allowed):
                fail(page=False)

        with m.FSM():
            with m.State("Idle"):
                m.d.comb += self.request.ready.eq(1)
                with m.If(self.request.valid):
                    request = self.request.payload
                    context = request.context
                    begins_translated = context.sv39 & (context.privilege != Privilege.MACHINE)
                    m.d.sync += [
                        va.eq(request.va),
                        access.eq(request.access),
                        privilege.eq(context.privilege),
                        translated.eq(begins_translated),
                        asid.eq(context.asid),
                        supervisor_user_memory.eq(context.sum),
                        make_executable_readable.eq(context.mxr),
                        length.eq(request.length),
                        table.eq(Mux(begins_translated, context.root, request.va[PAGE_BITS : PAGE_BITS + 44])),
                        level.eq(LEVELS - 1),
                        pte.as_value().eq(BARE_PTE),
                        is_global.eq(~begins_translated),
                        superpage.eq(0),
                        pte_checked.eq(0),
                        pte_read.eq(0),
                        mixed.eq(0),
                        fault.eq(0),
                    ]
                    m.next = "Look at the address"

            with m.State("Look at the address"):
                with m.If(translated):
                    upper = va[PAGE_BITS + LEVELS * LEVEL_BITS - 1 :]
                    m.next = "Read a PTE"
                    with m.If(upper.any() & ~upper.all()):
                        fail(page=True)
                with m.Else():
                    m.next = "Check the page"
                    with m.If(va[config.pa_width :].any()):
                        fail(page=False)

            with m.State("Read a PTE"):
                # Step 2. The two questions are asked together where reading does no harm.
                m.d.comb += [
                    check.valid.eq(~pte_checked & ~beyond),
                    check.first.eq(pte_offset),
                    check.last.eq(pte_offset | ((1 << PTE_BITS) - 1)),
                    check.privilege.eq(Privilege.SUPERVISOR),
                    memory.valid.eq(~pte_read & ~beyond & (in_dram | (pte_checked & pte_allowed))),
                ]
                with m.If(~pte_checked):
                    m.d.sync += [pte_checked.eq(check.done), pte_allowed.eq(check.read), pte_writable.eq(check.write)]
                with m.If(memory.valid & memory.done):
                    m.d.sync += [pte_read.eq(1), pte.eq(memory.data), pte_error.eq(memory.error)]
                with m.If(beyond | (pte_checked & ~pte_allowed & ~in_dram)):
                    fail(page=False)
                with m.Elif((pte_checked | check.done) & (pte_read | memory.done)):
                    m.next = "Judge the PTE"

            with m.State("Judge the PTE"):
                # Access faults of step 2 come first.
                m.d.sync += [
                    pte_checked.eq(0),
                    pte_read.eq(0),
                    is_global.eq(is_global | (pte.is_global & ~leaf)),
                ]
                with m.If(~pte_allowed | pte_error):
                    fail(page=False)
                with m.Elif(pte_faults):
                    fail(page=True)
                with m.Elif(leaf & updates):
                    m.next = "Set A and D"
                    with m.If(~pte_writable | ~in_dram):
                        fail(page=False)
                with m.Else():
                    m.d.sync += [table.eq(next_table), level.eq(level - 1), superpage.eq(level != 0)]
                    m.next = "Read a PTE"
                    with m.If(leaf):
                        m.next = "Check the page"

            with m.State("Set A and D"):
                # If the PTE is no longer what was judged, judge it again.
                m.d.comb += [memory.valid.eq(1), memory.set_bits.eq(1)]
                with m.If(memory.done):
                    with m.If(memory.error):
                        fail(page=False)
                    with m.Elif(memory.data != pte.as_value()):
                        m.d.sync += pte.eq(memory.data)
                        m.next = "Judge the PTE"
                    with m.Else():
                        m.d.sync += [table.eq(next_table), superpage.eq(level != 0)]
                        m.next = "Check the page"

            with m.State("Check the page"):
                m.d.comb += [
                    check.valid.eq(~beyond),
                    check.first.eq(0),
                    check.last.eq((1 << PAGE_BITS) - 1),
                    check.privilege.eq(privilege),
                ]
                with m.If(beyond):
                    fail(page=False)
                with m.Elif(check.done):
                    with m.If(check.partial):
                        m.d.sync += mixed.eq(1)
                        m.next = "Check the access"
                    with m.Else():
                        finish()

            with m.State("Check the access"):
                # PMP splits the page: this access only.
                m.d.comb += [
                    check.valid.eq(1),
                    check.first.eq(offset),
                    check.last.eq(offset + length - 1),
                    check.privilege.eq(privilege),
                ]
                with m.If(check.done):
                    finish()

            with m.State("Answer"):
                m.d.comb += self.response.valid.eq(1)
                with m.If(self.response.ready):
                    m.next = "Idle"

        return m
