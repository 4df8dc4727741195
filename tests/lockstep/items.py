"""Random pieces of code: what a segment of a random program is made of.

Each function takes a `Context`, draws from its random source, and gives pieces that end (loops are counted, branches go
forward) and that write only registers meant for it:

  gp (x3)            resume address, tp (x4) loop counter: see firmware.py
  ra, t0 (x1, x5)    links of calls
  sp, s0, s1, a0, a1 pointers: only ever hold addresses of data windows, near enough for a 12-bit offset
  all others         anything
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.lockstep import encoding as e
from tests.lockstep import layout as at
from tests.lockstep.assembler import Label, Piece, Reference, address, branch, jump
from tests.lockstep.pages import Space

COUNTER, LINK, OTHER_LINK = 4, 1, 5
POINTERS = (2, 8, 9, 10, 11)
SMALL_POINTERS = (8, 9, 10, 11)
GENERAL = (6, 7, *range(12, 32))
SMALL = (12, 13, 14, 15)
USER, SUPERVISOR, MACHINE = 0, 1, 3

CORNERS = (
    0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF, 1 << 32,
    (1 << 63) - 1, 1 << 63, (1 << 64) - 1, (1 << 64) - 2, 0xFFFF_FFFF_8000_0000, 0x5555_5555_5555_5555, 63, 64,
)  # fmt: skip


@dataclass
class Context:
    """What the code is being written for.

    mode             privilege it runs in
    data_mode        privilege its loads and stores have (differs under MPRV)
    space            address space of its loads and stores; None when they are physical
    aligned          no misaligned accesses (PMP regions of less than a page are active)
    quiet            no interrupt can arrive in this mode: trap CSRs are the program's own
    functions        labels of leaf functions it may call
    """

    rng: random.Random
    name: str
    mode: int
    data_mode: int
    space: Space | None
    aligned: bool
    quiet: bool
    translated_fetch: bool
    wakes: bool
    functions: list[str] = field(default_factory=list)
    labels: int = 0

    def label(self, what: str) -> str:
        self.labels += 1
        return f"{self.name}_{what}{self.labels}"

    def value(self) -> int:
        """A register of which to read."""
        return self.rng.choice((0, *POINTERS, *GENERAL, *GENERAL, *GENERAL))

    def target(self) -> int:
        return self.rng.choice(GENERAL)

    def constant(self) -> int:
        if self.rng.random() < 0.5:
            return self.rng.choice(CORNERS)
        return self.rng.getrandbits(self.rng.choice((8, 12, 16, 32, 33, 64)))


# --- integer ---------------------------------------------------------------------------------------------------------


def integer(c: Context) -> list[Piece]:
    """One instruction that only computes."""
    rng, rd, a, b = c.rng, c.target(), c.value(), c.value()
    kind = rng.random()
    if kind < 0.40:
        return [e.register(rng.choice(list(e.REGISTER)), rd, a, b)]
    if kind < 0.55:
        return [e.immediate(rng.choice(list(e.IMMEDIATE)), rd, a, rng.randrange(-2048, 2048))]
    if kind < 0.65:
        name = rng.choice(list(e.SHIFT))
        return [e.shift(name, rd, a, rng.randrange(1 << e.SHIFT[name][3]))]
    if kind < 0.75:
        name = rng.choice(list(e.UNARY))
        if name == "ctzw":  # QEMU 7.2 gives 63 for 1 << 63; see tests/isa/test_bits.py for low words of 0
            return [e.immediate("ori", rd, a, 1 << rng.randrange(11)), e.unary(name, rd, rd)]
        return [e.unary(name, rd, a)]
    if kind < 0.78:
        return [rng.choice((e.lui, e.auipc))(rd, rng.getrandbits(20))]
    if kind < 0.80:
        return [e.register(rng.choice(list(e.REGISTER)), 0, a, b)]  # a hint: writes x0
    return [compressed(c)]


def compressed(c: Context) -> e.Instruction:
    rng, rd, small = c.rng, c.target(), c.rng.choice(SMALL)
    other = rng.choice((*SMALL_POINTERS, *SMALL))
    source = rng.choice((*POINTERS, *GENERAL))
    return rng.choice(
        (
            lambda: e.c_immediate("c.addi", rd, rng.choice((-32, -1, 1, 31, rng.randrange(1, 31)))),
            lambda: e.c_immediate("c.addiw", rd, rng.randrange(-32, 32)),
            lambda: e.c_immediate("c.li", rd, rng.randrange(-32, 32)),
            lambda: e.c_immediate("c.lui", rd, rng.choice((-32, -1, 1, 31, rng.randrange(1, 31)))),
            lambda: e.c_shift("c.slli", rd, rng.randrange(1, 64)),
            lambda: e.c_shift(rng.choice(("c.srli", "c.srai")), small, rng.randrange(1, 64)),
            lambda: e.c_shift("c.andi", small, rng.randrange(-32, 32)),
            lambda: e.c_register(rng.choice(list(e.C_REGISTER)), small, other),
            lambda: e.c_register(rng.choice(list(e.C_REGISTER)), small, other),
            lambda: e.c_mv(rd, source),
            lambda: e.c_add(rd, source),
            lambda: e.c_addi4spn(small, 4 * rng.randrange(1, 256)),
            lambda: e.C_NOP,
        )
    )()


def constants(c: Context) -> list[Piece]:
    return [piece for _ in range(c.rng.randrange(1, 4)) for piece in e.li(c.target(), c.constant())]


def divide(c: Context) -> list[Piece]:
    """Division with the operands that have rules of their own, and its result used at once."""
    rd, a, b = c.target(), c.target(), c.target()
    names = ("div", "divu", "rem", "remu", "divw", "divuw", "remw", "remuw")
    return [
        *e.li(a, c.rng.choice((1 << 63, 0xFFFF_FFFF_8000_0000, c.constant()))),
        *e.li(b, c.rng.choice((0, (1 << 64) - 1, 1, c.constant()))),
        e.register(c.rng.choice(names), rd, a, b),
        e.register(c.rng.choice(names + ("add", "mul", "mulh")), c.target(), rd, a),
    ]


# --- memory ----------------------------------------------------------------------------------------------------------


def pointer(c: Context, *, atomic: bool = False) -> tuple[int, bool]:
    """An address for loads and stores, and whether any alignment may be used around it.

    The address is a multiple of 16, somewhere in a window, often at the end of a line or page.
    """
    rng = c.rng
    offset = rng.choice((0, 48, 64, 1008, 2032, 4032, 4080, 16 * rng.randrange(256)))
    if c.space is None:
        if rng.random() < 0.03 and not atomic:
            return rng.choice(at.HOLES) + offset, False
        return at.DATA + 4096 * rng.randrange(1, at.DATA_PAGES - 1) + offset, not c.aligned
    if rng.random() < 0.06 and not atomic:
        return rng.choice(c.space.strict).va + offset, False
    pages = c.space.pages
    if rng.random() < 0.9:
        pages = [page for page in pages if page.good and page.user == (c.data_mode == USER)] or pages
    return rng.choice(pages).va + offset, not c.aligned


def one_access(c: Context, base: int, loose: bool, near: bool) -> e.Instruction:
    """A load or store through `base`, whose value is a multiple of 16."""
    rng = c.rng
    name = rng.choice((*e.LOADS, *e.STORES, *e.STORES))
    size = e.access_size(name)
    imm = rng.randrange(0, 24) if near else rng.randrange(-2048, 2040)
    if not loose or rng.random() < 0.6:
        imm &= -size
    if rng.random() < 0.3:
        double = rng.random() < 0.5
        unit = 8 if double else 4
        small = rng.choice(SMALL)
        if base == 2:
            if rng.random() < 0.5:
                return e.c_load_sp(double, c.target(), unit * rng.randrange(4 if near else 64))
            return e.c_store_sp(double, c.value(), unit * rng.randrange(4 if near else 64))
        if rng.random() < 0.5:
            return e.c_load(double, small, base, unit * rng.randrange(4 if near else 32))
        return e.c_store(double, rng.choice((*SMALL, *SMALL_POINTERS)), base, unit * rng.randrange(4 if near else 32))
    if name in e.LOADS:
        return e.load(name, rng.choice((*GENERAL, *GENERAL, 0)), base, imm)
    return e.store(name, c.value(), base, imm)


def memory(c: Context) -> list[Piece]:
    """Loads and stores close together, of all sizes, so that they overlap, with their results used at once."""
    rng, base = c.rng, c.rng.choice(POINTERS)
    where, loose = pointer(c)
    near = rng.random() < 0.7
    if loose and rng.random() < 0.25:
        where += rng.randrange(16)  # the compressed forms become misaligned too
    out: list[Piece] = list(e.li(base, where))
    for _ in range(rng.randrange(2, 9)):
        out.append(one_access(c, base, loose, near))
        if rng.random() < 0.3:
            out += integer(c)
    return out


def indexed(c: Context) -> list[Piece]:
    """An address computed from what was just loaded or computed: the load-to-address and ALU-to-address hazards."""
    rng, base, index = c.rng, c.rng.choice(POINTERS), c.target()
    where, loose = pointer(c)
    out: list[Piece] = list(e.li(base, where))
    out.append(one_access(c, base, loose, True))
    out.append(e.load(rng.choice(("lbu", "lb")), index, base, rng.randrange(16)))
    out.append(e.immediate("andi", index, index, 0x38))
    out.append(e.register(rng.choice(("add", "sh1add", "sh2add")), base, index, base))
    out.append(one_access(c, base, loose, True))
    return out


def atomics(c: Context) -> list[Piece]:
    rng, base = c.rng, c.rng.choice(POINTERS)
    where, _ = pointer(c, atomic=True)
    where += rng.choice((0, 0, 8))
    out: list[Piece] = list(e.li(base, where))
    for _ in range(rng.randrange(1, 5)):
        double = rng.random() < 0.5
        out.append(
            e.amo(rng.choice(list(e.ATOMICS)), double, rng.choice((0, *GENERAL)), base, c.value(), rng.getrandbits(2))
        )
        if rng.random() < 0.4:
            out.append(one_access(c, base, False, True))
    return out


def reserved(c: Context) -> list[Piece]:
    """A load-reserved, store-conditional loop as the forward-progress rules want it, then one that must fail.

    The result starts as 1: where the store-conditional traps on the reference, an interrupt may have made it fail on
    the device before it trapped there too.
    """
    rng, base, value, result = c.rng, c.rng.choice(POINTERS), *c.rng.sample(GENERAL, 2)
    source = rng.choice([r for r in GENERAL if r != result])
    where, _ = pointer(c, atomic=True)
    double, order = rng.random() < 0.5, rng.getrandbits(2)
    again = c.label("again")
    out: list[Piece] = [*e.li(base, where + (8 if rng.random() < 0.3 else 0)), *e.li(result, 1), Label(again)]
    out.append(e.lr(double, value, base, order & 2))
    for _ in range(rng.randrange(3)):
        out.append(rng.choice((e.NOP, e.register("add", value, value, value))))
    out.append(e.sc(double, result, base, source, order & 1))
    out.append(branch("bne", result, 0, again))
    if rng.random() < 0.5:
        out.append(e.sc(double, result, base, source))
        out.append(e.load("ld" if double else "lw", value, base, 0))
    return out


def misaligned_atomic(c: Context) -> list[Piece]:
    """An AMO or LR on a misaligned address, which traps."""
    where, base, double = at.DATA + 4096, c.rng.choice(POINTERS), c.rng.random() < 0.5
    if c.space is not None:
        good = [page for page in c.space.pages if page.good and page.user == (c.data_mode == USER)]
        if not good:
            return []
        where = c.rng.choice(good).va
    where += 64 * c.rng.randrange(60) + c.rng.choice((1, 2, 3))
    if c.rng.random() < 0.5:
        return [*e.li(base, where), e.lr(double, c.target(), base)]
    return [*e.li(base, where), e.amo(c.rng.choice(list(e.ATOMICS)), double, c.target(), base, c.value())]


# --- control flow ----------------------------------------------------------------------------------------------------


def simple(c: Context, most: int = 4) -> list[Piece]:
    return [piece for _ in range(c.rng.randrange(1, most)) for piece in integer(c)]


def forward(c: Context) -> list[Piece]:
    """A conditional branch over a few instructions."""
    rng, over = c.rng, c.label("over")
    kind = rng.random()
    if kind < 0.3:
        name, rs1 = rng.choice(("c.beqz", "c.bnez")), rng.choice(SMALL)
        first: Piece = Reference(lambda d: e.c_branch(name, rs1, d), over, 2)
    else:
        a, b = (c.value(), c.value()) if kind < 0.8 else (c.target(),) * 2
        first = branch(rng.choice(list(e.BRANCHES)), a, b, over)
    before = (
        [] if rng.random() < 0.5 else [e.register(rng.choice(("sub", "slt", "and", "mul")), 12, c.value(), c.value())]
    )
    return [*before, first, *simple(c, 6), Label(over)]


def loop(c: Context) -> list[Piece]:
    """A counted loop, with a branch inside that changes its mind."""
    rng, top, over = c.rng, c.label("top"), c.label("skip")
    out: list[Piece] = [e.immediate("addi", COUNTER, 0, rng.randrange(1, 8)), Label(top), *simple(c)]
    if rng.random() < 0.5:
        t = c.target()
        out += [
            e.immediate("andi", t, COUNTER, rng.choice((1, 2, 3))),
            branch("beq", t, 0, over),
            *simple(c),
            Label(over),
        ]
    if rng.random() < 0.4:
        out += memory(c)
    out.append(e.c_immediate("c.addi", COUNTER, -1))
    out.append(branch(rng.choice(("bne", "blt")), *((COUNTER, 0) if rng.random() < 0.5 else (0, COUNTER)), top))
    if isinstance(out[-1], Reference):
        out[-1] = branch("bne", COUNTER, 0, top) if rng.random() < 0.5 else branch("blt", 0, COUNTER, top)
    return out


def call(c: Context) -> list[Piece]:
    """A call to a leaf function, direct or through a register, with either link register."""
    if not c.functions:
        return simple(c)
    rng, function = c.rng, c.rng.choice(c.functions)
    kind = rng.random()
    if kind < 0.5:
        return [jump(LINK, function)]
    t = c.target()
    if kind < 0.8:
        return [*address(t, function), e.jalr(LINK, t, 0)]
    if kind < 0.9:
        return [*address(t, function), e.c_jalr(t)]
    return [*address(LINK, function), e.jalr(LINK, LINK, 0)]


def jumps(c: Context) -> list[Piece]:
    """Unconditional jumps forward: direct, through a register, with an odd target, through the link registers."""
    rng, over, t = c.rng, c.label("to"), c.target()
    kind = rng.randrange(6)
    skipped = simple(c)
    if kind == 0:
        return [jump(rng.choice((0, 1, 5, t)), over), *skipped, Label(over)]
    if kind == 1:
        return [Reference(e.c_j, over, 2), *skipped, Label(over)]
    if kind == 2:
        imm = rng.randrange(-2048, 2048)
        return [*address(t, over, -(imm & ~1)), e.jalr(rng.choice((0, 1, 5, t)), t, imm), *skipped, Label(over)]
    if kind == 3:
        return [*address(t, over), e.c_jr(t), *skipped, Label(over)]
    if kind == 4:  # looks like a return, and like a coroutine switch
        return [*address(LINK, over), e.jalr(rng.choice((0, OTHER_LINK)), LINK, 0), *skipped, Label(over)]
    return [*address(OTHER_LINK, over), e.jalr(rng.choice((0, LINK)), OTHER_LINK, 0), *skipped, Label(over)]


def bad_jump(c: Context) -> list[Piece]:
    """A jump to where nothing can be fetched."""
    t = c.target()
    if c.translated_fetch and c.space is not None:
        where = c.rng.choice(c.space.no_fetch)
    else:
        where = c.rng.choice(at.HOLES)
    return [*e.li(t, where + 2 * c.rng.randrange(2040)), e.jalr(c.rng.choice((0, 1, c.target())), t, 0)]


# --- system ----------------------------------------------------------------------------------------------------------


def environment(c: Context) -> list[Piece]:
    return [c.rng.choice((e.ECALL, e.EBREAK, e.C_EBREAK))]


def fences(c: Context) -> list[Piece]:
    return [c.rng.choice((e.FENCE, e.FENCE_I, e.FENCE_TSO, e.PAUSE, e.raw(0x0120000F), e.raw(0x0310000F)))]


def supervisor_fence(c: Context) -> list[Piece]:
    """SFENCE.VMA; illegal in user mode, and in supervisor mode under TVM."""
    return [e.sfence_vma(c.rng.choice((0, *POINTERS)), c.rng.choice((0, c.target())))]


_MACHINE_CSRS = (at.MSTATUS, at.MEDELEG, at.MIE, at.MTVEC, at.MEPC, at.MCAUSE, at.MSCRATCH, 0xF14, at.PMPCFG0)
_SUPERVISOR_CSRS = (at.SSTATUS, at.SIE, at.STVEC, at.SEPC, at.SCAUSE, at.STVAL, at.SATP)
_ABSENT_CSRS = (0x000, 0x005, 0x043, 0x200, 0x240, 0x5C0, 0x7C0, 0x800, 0x8FF, 0x9C0, 0xCC0, 0xFC0, 0xBC0, 0x1C0)


def forbidden_csr(c: Context) -> list[Piece]:
    """A CSR access that must trap: too little privilege, read-only, or no such CSR."""
    rng = c.rng
    candidates = [(number, "csrrs", 0) for number in _ABSENT_CSRS]
    candidates += [(number, "csrrw", c.value()) for number in (0xC00, 0xC01, 0xC02, 0xF11, 0xF14)]
    if c.mode != MACHINE:
        candidates += [(number, "csrrs", 0) for number in _MACHINE_CSRS] * 2
    if c.mode == USER:
        candidates += [(number, "csrrs", 0) for number in _SUPERVISOR_CSRS] * 2
    number, name, source = rng.choice(candidates)
    return [e.csr(name, c.target(), number, source)]


def counters(c: Context) -> list[Piece]:
    """Reads a counter twice: it must not go backwards. Traps where the counter-enable registers say so."""
    first, second, result = c.rng.sample(GENERAL, 3)
    number = c.rng.choice((at.CYCLE, at.TIME, at.INSTRET))
    return [
        e.csr("csrrs", first, number, 0),
        e.csr("csrrs", second, number, 0),
        e.register("sltu", result, second, first),
        e.immediate("addi", first, 0, 0),
        e.immediate("addi", second, 0, 0),
    ]


def supervisor_csrs(c: Context) -> list[Piece]:
    """Reads and changes supervisor CSRs within their legal values. In user mode this traps."""
    rng, t, old = c.rng, *c.rng.sample(GENERAL, 2)
    if not c.quiet:  # SPP and SPIE may be an interrupt's
        mask = at.STATUS_SUM | at.STATUS_MXR
        flags = rng.choice((at.STATUS_SUM, at.STATUS_MXR, mask))
        return [
            *e.li(t, flags),
            e.csr(rng.choice(("csrrs", "csrrc")), old, at.SSTATUS, t),
            e.register("and", old, old, t),
        ]
    kind = rng.randrange(6)
    if kind == 0:
        flags = rng.getrandbits(32) & (at.STATUS_SUM | at.STATUS_MXR | at.STATUS_SPP | at.STATUS_SPIE)
        return [*e.li(t, flags), e.csr(rng.choice(("csrrs", "csrrc")), old, at.SSTATUS, t)]
    if kind == 1:
        return [*e.li(t, c.constant() & ~1), e.csr("csrrw", old, at.SEPC, t), e.csr("csrrs", old, at.SEPC, 0)]
    if kind == 2:
        cause = rng.choice((0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 13, 15, 1 << 63 | 1, 1 << 63 | 5, 1 << 63 | 9))
        return [*e.li(t, cause), e.csr("csrrw", old, at.SCAUSE, t), e.csr("csrrs", old, at.SCAUSE, 0)]
    if kind == 3:
        name = rng.choice(("csrrw", "csrrs", "csrrc"))
        return [*e.li(t, c.constant()), e.csr(name, old, at.STVAL, t), e.csr("csrrs", old, at.STVAL, 0)]
    if kind == 4:
        name = rng.choice(("csrrwi", "csrrsi", "csrrci"))
        return [e.csr(name, old, at.STVAL, rng.randrange(32)), e.csr("csrrs", t, at.STVAL, 0)]
    return [e.csr("csrrs", t, rng.choice((at.SATP, at.SIE, at.SCOUNTEREN, at.STVEC)), 0)]


def machine_csrs(c: Context) -> list[Piece]:
    """Reads and changes machine CSRs within their legal values, while no interrupt can come."""
    rng, t, old = c.rng, *c.rng.sample(GENERAL, 2)
    kind = rng.randrange(7)
    if kind == 0:
        return [*e.li(t, c.constant() & ~1), e.csr("csrrw", old, at.MEPC, t), e.csr("csrrs", old, at.MEPC, 0)]
    if kind == 1:
        cause = rng.choice((0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 15, 1 << 63 | 3, 1 << 63 | 7, 1 << 63 | 11))
        return [*e.li(t, cause), e.csr("csrrw", old, at.MCAUSE, t), e.csr("csrrs", old, at.MCAUSE, 0)]
    if kind == 2:
        name = rng.choice(("csrrw", "csrrs", "csrrc"))
        return [*e.li(t, c.constant()), e.csr(name, old, at.MTVAL, t), e.csr("csrrs", old, at.MTVAL, 0)]
    if kind == 3:
        flags = rng.choice((at.STATUS_SUM, at.STATUS_MXR, at.STATUS_TVM | at.STATUS_TW, at.STATUS_TSR, at.STATUS_SPP))
        return [
            *e.li(t, flags),
            e.csr("csrrs", old, at.MSTATUS, t),
            e.csr("csrrc", old, at.MSTATUS, t),
            e.csr("csrrs", old, at.MSTATUS, 0),
        ]
    if kind == 4:
        return [e.csr("csrrs", t, rng.choice((at.MEDELEG, at.MTVEC, at.MCOUNTEREN, at.MISA, 0xF14, at.PMPCFG0)), 0)]
    if kind == 5:
        return [e.csr("csrrwi", old, at.MTVAL, rng.randrange(32)), e.csr("csrrs", t, at.MTVAL, 0)]
    return supervisor_csrs(c)


def returns(c: Context) -> list[Piece]:
    """MRET or SRET into the same mode, a little further on; where that is not allowed, it traps."""
    rng, there, t = c.rng, c.label("returned"), c.target()
    if c.mode == MACHINE:
        if not c.quiet or c.data_mode != MACHINE or c.space is not None:
            return simple(c)
        epc, xret, flags = at.MEPC, e.MRET, at.STATUS_MPP
        status = at.MSTATUS
    else:
        if c.mode == SUPERVISOR and not c.quiet:
            return simple(c)
        epc, xret, flags, status = at.SEPC, e.SRET, at.STATUS_SPP, at.SSTATUS
        if c.mode == USER:
            return [rng.choice((e.SRET, e.MRET))]
        if rng.random() < 0.2:
            return [e.MRET]
    return [
        *address(t, there),
        e.csr("csrrw", 0, epc, t),
        *e.li(t, flags),
        e.csr("csrrs", t, status, t),
        *([*e.li(t, at.STATUS_MPIE), e.csr("csrrc", 0, status, t)] if c.mode == MACHINE else ()),  # no interrupts after
        xret,
        *simple(c),
        Label(there),
    ]


def wait(c: Context) -> list[Piece]:
    """WFI: with an interrupt already pending in machine mode, illegal in user mode."""
    if c.mode == MACHINE and c.wakes:
        t = c.target()
        return [
            e.csr("csrrsi", t, at.MIE, 2),
            e.csr("csrrsi", 0, at.MIP, 2),
            e.WFI,
            e.csr("csrrci", 0, at.MIP, 2),
            e.csr("csrrw", 0, at.MIE, t),
        ]
    return [e.WFI] if c.mode == USER else simple(c)


def software_interrupt(c: Context) -> list[Piece]:
    """Makes a supervisor software interrupt pending; taken here, later, or never, and invisible in any case."""
    if c.mode == USER:
        return simple(c)
    return [e.csr("csrrsi", 0, at.MIP if c.mode == MACHINE else at.SIP, 2)]


def self_modifying(c: Context) -> list[Piece]:
    """Runs an instruction, replaces it, and after FENCE.I runs the new one. Needs the code to be writable."""
    rng, base = c.rng, c.rng.choice(POINTERS)
    if c.data_mode != c.mode:
        return simple(c)
    top, site, out, t = c.label("again"), c.label("site"), c.label("done"), c.target()
    old = e.register("add", rng.choice(GENERAL), c.value(), c.value())
    new = e.immediate("xori", rng.choice(GENERAL), c.value(), rng.randrange(2048))
    if rng.random() < 0.5:
        old, new = (e.c_add(rng.choice(GENERAL), rng.choice(GENERAL)) for _ in range(2))
    return [
        e.immediate("addi", COUNTER, 0, 1),
        Label(top),
        Label(site),
        old,
        branch("blt", COUNTER, 0, out),
        e.immediate("addi", COUNTER, COUNTER, -2),
        *e.li(t, new.value),
        *address(base, site),
        e.store("sw" if new.size == 4 else "sh", t, base, 0),
        e.FENCE_I,
        jump(0, top),
        Label(out),
    ]


# --- illegal ---------------------------------------------------------------------------------------------------------

_ILLEGAL_HALVES = (
    0x0000, 0x2000, 0x3FFC & ~3 | 0x2000, 0xA000, 0x2002, 0xA002, 0x8002, 0x6001 | 5 << 7, 0x6101, 0x2001, 0x4002,
    0x6002, 0x9C41, 0x9C61, 0x8000,
)  # fmt: skip


def illegal(c: Context) -> list[Piece]:
    """An encoding that is no instruction of ours, of 2 or 4 bytes."""
    rng = c.rng
    if rng.random() < 0.3:
        return [e.raw(rng.choice(_ILLEGAL_HALVES), 2)]
    bits = rng.getrandbits(32)
    kind = rng.randrange(9)
    if kind == 0:  # opcodes that are custom, reserved, or of extensions we lack
        opcode = rng.choice((0x0B, 0x2B, 0x5B, 0x7B, 0x07, 0x27, 0x43, 0x47, 0x4B, 0x4F, 0x53, 0x57, 0x6B, 0x77, 0x1F))
        return [e.raw(bits & ~0x7F | opcode)]
    if kind == 1:
        funct7 = rng.choice((0x02, 0x03, 0x08, 0x0A, 0x11, 0x15, 0x21, 0x22, 0x40, 0x7F))
        return [e.raw(funct7 << 25 | bits & 0x01FFFF80 | rng.choice((0x33, 0x3B)))]
    if kind == 2:
        return [e.raw(bits & ~0x707F | 7 << 12 | 0x03)]  # load of width 7
    if kind == 3:
        return [e.raw(bits & ~0x707F | rng.choice((4, 5, 6, 7)) << 12 | 0x23)]
    if kind == 4:
        return [e.raw(bits & ~0x707F | rng.choice((2, 3)) << 12 | 0x63)]
    if kind == 5:
        return [e.raw(bits & ~0x707F | rng.randrange(1, 8) << 12 | 0x67)]
    if kind == 6:  # AMO of a width or kind that there is not
        return [e.raw(bits & ~0xF800707F | rng.choice((5, 6, 7, 9, 31)) << 27 | rng.choice((2, 3)) << 12 | 0x2F)]
    if kind == 7:
        return (
            [e.raw(bits & ~0x707F | rng.choice((2, 3, 4, 6, 7)) << 12 | 0x1B)]
            if bits & 1
            else [e.raw(bits & ~0x707F | 4 << 12 | 0x73)]
        )
    return [
        e.raw(
            rng.choice((0xFFFF_FFFF, 0x0000_0073 | 1 << 7, 0x0020_0073, 0x1050_0073 | 1 << 15, 0x3020_8073, 0x7B200073))
        )
    ]


Maker = Callable[[Context], list[Piece]]

WEIGHTS: dict[Maker, int] = {
    integer: 40,
    constants: 8,
    divide: 3,
    memory: 22,
    indexed: 6,
    atomics: 5,
    reserved: 3,
    misaligned_atomic: 1,
    forward: 12,
    loop: 4,
    call: 6,
    jumps: 6,
    bad_jump: 1,
    environment: 1,
    fences: 2,
    supervisor_fence: 1,
    forbidden_csr: 1,
    counters: 1,
    supervisor_csrs: 2,
    machine_csrs: 3,
    returns: 1,
    wait: 1,
    software_interrupt: 1,
    self_modifying: 2,
    illegal: 2,
}
