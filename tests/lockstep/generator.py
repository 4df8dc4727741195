"""Writes random programs: a seed gives one program, always the same.

A program is a row of phases. A phase has a privilege mode, an address space, delegation, PMP regions and status bits of
its own; machine-mode code prepares it, the phase's segments run, and it ends by an exception with gp = -1. A segment is
a few items (items.py); an exception inside goes on at the segment's end. So every program ends, whatever happens in it.

Every item draws from a random source of its own, named by seed, phase, segment and item. So leaving items out, as the
minimiser does, changes none of the others.
"""

import random
from dataclasses import dataclass, field
from pathlib import Path

from tests.lockstep import encoding as e
from tests.lockstep import firmware, items
from tests.lockstep import layout as at
from tests.lockstep.assembler import Assembler, Label, Piece, address, branch
from tests.lockstep.firmware import T0, T1, write_csr
from tests.lockstep.items import MACHINE, SUPERVISOR, USER, Context
from tests.lockstep.pages import SUPERVISOR_CODE, USER_CODE, Allocator, Space, build, random_data_entry

DELEGABLE = (0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 13, 15)


@dataclass(frozen=True)
class Shape:
    """How large programs are, and which features they use."""

    phases: int = 14
    segments: int = 60
    items: int = 9
    interrupts: bool | None = None  # None: two programs of three
    ticks: int = 512  # longest time between timer interrupts, in mtime ticks; a power of two


@dataclass
class Keep:
    """What of a program is left in: phases, and (phase, segment), (phase, segment, item) that are left out."""

    without: frozenset[tuple[int, ...]] = frozenset()

    def __call__(self, *place: int) -> bool:
        return place not in self.without


@dataclass
class Program:
    """A finished program.

    asm           everything placed; `asm.labels` has `tohost` and `end`
    interrupts    whether timers run on the device
    places        every phase, segment and item that is in it, for the minimiser
    """

    seed: int
    asm: Assembler
    interrupts: bool
    places: list[tuple[int, ...]] = field(default_factory=list)

    def write(self, folder: Path) -> tuple[Path, Path]:
        """Writes program.elf (for the device), reference.elf (timers stopped) and program.lst into `folder`."""
        folder.mkdir(parents=True, exist_ok=True)
        device, reference = folder / "program.elf", folder / "reference.elf"
        for path, armed in ((reference, 0), (device, int(self.interrupts))):
            self.asm.patch(at.MACHINE_VARIABLES + at.ARMED, armed.to_bytes(8, "little"))
            self.asm.patch(at.SUPERVISOR_VARIABLES + at.ARMED, armed.to_bytes(8, "little"))
            self.asm.write_elf(path, at.FIRMWARE, ("_start", "tohost", "fromhost", "end"))
        self.asm.write_listing(folder / "program.lst")
        return device, reference


class Generator:
    """Builds the program of one seed."""

    def __init__(self, seed: int, shape: Shape | None = None, keep: Keep | None = None) -> None:
        self.seed = seed
        self.shape = shape or Shape()
        self.keep = keep or Keep()
        self.rng = self.source()
        self.asm = Assembler()
        chosen = self.rng.random() < 0.67
        self.interrupts = chosen if self.shape.interrupts is None else self.shape.interrupts
        allocator = Allocator()
        index = self.rng.randrange(256, 511)
        shared = self.rng.random() < 0.5
        self.spaces = [build(self.source("space", i), allocator, i + 1, index, shared) for i in range(3)]
        self.places: list[tuple[int, ...]] = []

    def source(self, *place: object) -> random.Random:
        return random.Random("/".join(map(str, (self.seed, *place))))

    def program(self) -> Program:
        asm, phases = self.asm, [i for i in range(self.shape.phases) if self.keep(i)]
        asm.org(at.FIRMWARE)
        firmware.start(asm, interrupts=self.interrupts, first_phase=f"p{phases[0]}" if phases else "finish")
        firmware.machine_handlers(asm, self.shape.ticks)
        for where in (at.MACHINE_VARIABLES, at.SUPERVISOR_VARIABLES):
            asm.org(where)
            variables = bytearray(4096)
            variables[at.RANDOM : at.RANDOM + 8] = (self.rng.getrandbits(63) | 1).to_bytes(8, "little")
            asm.data(bytes(variables))
        asm.org(at.SUPERVISOR_CODE)
        firmware.supervisor_handlers(asm, self.shape.ticks)
        asm.org(at.TOHOST)
        asm.emit(Label("tohost"))
        asm.data(bytes(64))
        asm.emit(Label("fromhost"))
        asm.data(bytes(64))
        for space in self.spaces:
            for page, entries in space.tables.items():
                asm.org(page)
                asm.data(b"".join(entry.to_bytes(8, "little") for entry in entries))
        asm.org(at.DATA)
        asm.data(self.rng.randbytes(at.DATA_PAGES * 4096))
        asm.org(at.BODY)
        for here, after in zip(phases, [*phases[1:], None], strict=False):
            self.phase(here, "finish" if after is None else f"p{after}")
        self.finish()
        if asm.pc > at.BODY_END:
            raise ValueError(f"the program is too long: it ends at {asm.pc:#x}")
        asm.finish()
        return Program(self.seed, asm, self.interrupts, self.places)

    # --- one phase ----------------------------------------------------------------------------------------------------

    def phase(self, number: int, following: str) -> None:
        rng, asm, name = self.source(number), self.asm, f"p{number}"
        mode = rng.choice((MACHINE, SUPERVISOR, SUPERVISOR, USER, USER))
        space = rng.choice((*self.spaces, *self.spaces, None)) if mode != MACHINE else None
        # Machine mode whose loads and stores are another mode's.
        borrowed = rng.choice((USER, SUPERVISOR)) if mode == MACHINE and rng.random() < 0.3 else None
        if borrowed is not None:
            space = rng.choice((*self.spaces, None))
        regions = rng.random() < 0.3
        enabled = mode == MACHINE and borrowed is None and self.interrupts and rng.random() < 0.6
        delegated = self.interrupts and rng.random() < 0.6
        quiet = not enabled if mode == MACHINE else not delegated
        sleepy = self.interrupts and mode == MACHINE
        context = Context(
            rng, name, mode, mode if borrowed is None else borrowed, space, regions, quiet,
            translated_fetch=space is not None and mode != MACHINE, wakes=sleepy and not enabled,
        )  # fmt: skip
        if regions and space is None and mode == MACHINE:
            context.aligned = True

        asm.emit(Label(name), *address(T0, following), e.csr("csrrs", T1, at.MSCRATCH, 0))
        asm.emit(e.store("sd", T0, T1, at.NEXT_PHASE), *write_csr(at.MSTATUS, 0))
        for csr in (at.SEPC, at.SCAUSE, at.STVAL):  # may hold what an interrupt left
            asm.emit(e.csr("csrrwi", 0, csr, 0))
        self.change_entries(number, space)
        asm.emit(*self.regions(rng, regions))
        asm.emit(*write_csr(at.SATP, space.satp if space else 0))
        if rng.random() < 0.3:
            asm.emit(e.sfence_vma(0, 0))
        asm.emit(*self.delegation(rng, mode, delegated))
        offset = 0 if space is None else space.code[SUPERVISOR_CODE]
        direct = rng.random() < 0.3
        asm.emit(*write_csr(at.SSCRATCH, at.SUPERVISOR_VARIABLES + offset))
        handler = asm.labels["s_direct"] if direct else asm.labels["s_vector"] | 1
        asm.emit(*write_csr(at.STVEC, handler + offset))
        handler = asm.labels["m_direct"] if rng.random() < 0.3 else asm.labels["m_vector"] | 1
        asm.emit(*write_csr(at.MTVEC, handler))
        for _ in range(rng.randrange(4)):
            asm.emit(*e.li(rng.choice(items.GENERAL), context.constant()))
        for pointer in items.POINTERS:
            asm.emit(*e.li(pointer, items.pointer(context)[0]))

        status = rng.choice((0, at.STATUS_SUM)) | rng.choice((0, 0, at.STATUS_MXR))
        if mode == SUPERVISOR:
            status |= rng.choice((0, 0, at.STATUS_TVM)) | rng.choice((0, 0, at.STATUS_TW)) | at.STATUS_SPP
            status |= at.STATUS_SIE if delegated and rng.random() < 0.7 else 0
            if not self.delegates_exceptions and not delegated and rng.random() < 0.3:
                status |= at.STATUS_TSR
        body = f"{name}_body"
        if mode == MACHINE:
            asm.emit(*address(3, body))
            if borrowed is not None:
                status |= at.STATUS_MPRV | borrowed << 11
            asm.emit(*write_csr(at.MSTATUS, status))
            if enabled:
                asm.emit(e.csr("csrrsi", 0, at.MSTATUS, at.STATUS_MIE))
            asm.emit(e.jalr(0, 3, 0))
        else:
            asm.emit(*write_csr(at.MSTATUS, status | mode << 11 | at.STATUS_MPIE))
            offset = 0 if space is None else space.code[SUPERVISOR_CODE if mode == SUPERVISOR else USER_CODE]
            asm.emit(*address(T0, body), *e.li(T1, offset), e.register("add", T0, T0, T1))
            asm.emit(e.csr("csrrw", 0, at.MEPC, T0), e.MRET)

        self.functions(number, context)
        asm.emit(Label(body))
        for segment in range(self.shape.segments):
            if self.keep(number, segment):
                self.segment(number, segment, context)
        asm.emit(e.immediate("addi", 3, 0, -1), e.ECALL)

    def change_entries(self, number: int, space: Space | None) -> None:
        """Rewrites a few entries of the space's data windows, and fences in one of the ways that suffice."""
        rng = self.source(number, "entries")
        if space is None or rng.random() < 0.3:
            return
        for _ in range(rng.randrange(1, 6)):
            windows = rng.choice((space.pages, space.strict))
            page = rng.choice(windows[:48])
            entry, page.user, page.good = random_data_entry(rng)
            self.asm.emit(*e.li(T1, entry), *e.li(T0, page.slot), e.load("ld", 7, T0, 0))
            self.asm.emit(*e.li(T1, entry), e.store("sd", T1, T0, 0))
            self.asm.emit(*e.li(T0, page.va), e.immediate("addi", T1, 0, space.asid))
            self.asm.emit(
                rng.choice((e.sfence_vma(T0, T1), e.sfence_vma(T0, 0), e.sfence_vma(0, T1), e.sfence_vma(0, 0)))
            )

    def regions(self, rng: random.Random, active: bool) -> list[Piece]:
        """Programs PMP entries 0..7: off, or a few regions over the data pages."""
        out: list[Piece] = []
        config = 0
        entry = 0
        while active and entry < 7:
            kind = rng.randrange(5)
            page = at.DATA + 4096 * rng.randrange(at.DATA_PAGES)
            permissions = rng.choice((0, 1, 1, 3, 5, 7))
            if kind == 0:  # one page, or two
                size = rng.choice((4096, 8192))
                out += write_csr(at.PMPADDR0 + entry, (page & -size) >> 2 | (size >> 3) - 1)
                config |= (0x18 | permissions) << 8 * entry
            elif kind == 1:  # part of a page
                size = rng.choice((8, 16, 64, 1024))
                start = page + size * rng.randrange(4096 // size)
                out += write_csr(at.PMPADDR0 + entry, start >> 2 | (size >> 3) - 1)
                config |= (0x18 | permissions) << 8 * entry
            elif kind == 2:
                out += write_csr(at.PMPADDR0 + entry, (page + 4 * rng.randrange(1024)) >> 2)
                config |= (0x10 | permissions) << 8 * entry
            elif kind == 3 and entry < 6:  # a range of pages, or within one
                first, last = (page, page + 4096) if rng.random() < 0.5 else (page + 64, page + 256)
                out += [*write_csr(at.PMPADDR0 + entry, first >> 2), *write_csr(at.PMPADDR0 + entry + 1, last >> 2)]
                entry += 1
                config |= (0x08 | permissions) << 8 * entry
            entry += 1
        return [*out, *write_csr(at.PMPCFG0, config), e.sfence_vma(0, 0)]

    def delegation(self, rng: random.Random, mode: int, interrupts: bool) -> list[Piece]:
        exceptions = 0
        if mode != MACHINE and rng.random() < 0.7:
            exceptions = sum(1 << cause for cause in DELEGABLE if rng.random() < 0.5)
        self.delegates_exceptions = exceptions != 0
        enabled = 0
        if self.interrupts:
            enabled = 1 << at.MSI | 1 << at.MTI | rng.choice((0, 1 << at.SSI)) | rng.choice((0, 1 << at.STI))
        counters = 7 if self.interrupts else rng.randrange(8)
        return [
            *write_csr(at.MEDELEG, exceptions),
            *write_csr(at.MIDELEG, (1 << at.SSI | 1 << at.STI) if interrupts else 0),
            *write_csr(at.MIE, enabled),
            *write_csr(at.MCOUNTEREN, counters),
            *write_csr(at.SCOUNTEREN, rng.randrange(8)),
        ]

    def functions(self, number: int, context: Context) -> None:
        """Leaf functions, and functions that call one, ahead of the phase's code."""
        leaves: list[str] = []
        for i in range(5):
            rng = self.source(number, "function", i)
            inner = Context(
                rng, f"p{number}f{i}", context.mode, context.data_mode, context.space, context.aligned, context.quiet,
                context.translated_fetch, context.wakes,
            )  # fmt: skip
            name = f"p{number}_function{i}"
            self.asm.emit(Label(name))
            for _ in range(rng.randrange(1, 6)):
                self.asm.emit(*items.integer(inner))
            if i >= 3:  # calls a leaf through the other link register
                self.asm.emit(firmware.jump(items.OTHER_LINK, rng.choice(leaves)))
                self.asm.emit(*items.integer(inner), rng.choice((e.c_jr(1), e.jalr(0, 1, 0))))
                context.functions.append(name)
            else:
                # Returns by whichever link called it: the caller says so in tp.
                self.asm.emit(e.jalr(0, items.OTHER_LINK, 0))
                leaves.append(name)

    def segment(self, number: int, segment: int, context: Context) -> None:
        asm, end = self.asm, f"p{number}s{segment}_end"
        self.places.append((number, segment))
        asm.emit(*address(3, end))
        if context.data_mode != context.mode:
            # A trap left MPP = U behind, and QEMU 7.2 keeps the translations of the mode before through MRET.
            asm.emit(*e.li(T1, at.STATUS_MPP), e.csr("csrrc", 0, at.MSTATUS, T1))
            asm.emit(*e.li(T1, context.data_mode << 11), e.csr("csrrs", 0, at.MSTATUS, T1))
        makers, weights = list(items.WEIGHTS), list(items.WEIGHTS.values())
        chooser = self.source(number, segment)
        for item in range(chooser.randrange(2, 2 * self.shape.items)):
            if not self.keep(number, segment, item):
                continue
            self.places.append((number, segment, item))
            rng = self.source(number, segment, item)
            context.rng, context.name, context.labels = rng, f"p{number}s{segment}i{item}", 0
            maker = rng.choices(makers, weights)[0]
            if maker is items.machine_csrs and (context.mode != MACHINE or not context.quiet):
                maker = items.integer
            if maker is items.supervisor_csrs and context.mode == MACHINE and context.space is not None:
                maker = items.integer  # under MPRV, SUM and MXR stay what the phase chose
            asm.emit(*maker(context))
        asm.emit(Label(end))

    # --- the end ------------------------------------------------------------------------------------------------------

    def finish(self) -> None:
        """Reads all data back, so that every store is compared, and says that the program is over."""
        asm = self.asm
        asm.emit(Label("finish"), *write_csr(at.MSTATUS, 0), *write_csr(at.SATP, 0), *write_csr(at.PMPCFG0, 0))
        asm.emit(e.sfence_vma(0, 0), *address(3, "m_unexpected"), *e.li(8, at.DATA))
        asm.emit(*e.li(9, at.DATA + 4096 * at.DATA_PAGES), Label("read_back"))
        for i in range(16):
            asm.emit(e.load("ld", 12 + i, 8, 8 * i))
        asm.emit(e.immediate("addi", 8, 8, 128), branch("bltu", 8, 9, "read_back"))
        firmware.finish(asm)
