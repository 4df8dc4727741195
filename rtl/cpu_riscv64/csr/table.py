"""Every CSR of the core in one table: address, privilege, reset value, fields and what a write does to them.

The register file generates its storage, read multiplexer, write masks and legality checks from this table, and
`reference` prints it. So a CSR that is not listed here does not exist: an access is an illegal instruction.

Sources: Privileged specification 1.12, Sstc 1.0, Debug 1.0 chapter 5 (the trigger CSRs that say "no triggers").
Where the specification leaves a choice, it is the one of QEMU's `virt` unless the text of a field says otherwise.

Identification: mvendorid and marchid are 0 (no JEDEC or RISC-V International number is assigned), mimpid is the version
of this implementation.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum

from amaranth.lib import data

from ..config import CoreConfig
from ..interfaces import events_layout

MIMPID = 0x0001_00  # version 0.1.0, one byte each

SSI, MSI, STI, MTI, SEI, MEI = 1, 3, 5, 7, 9, 11  # interrupt numbers (Privileged table 3.6)


class Source(Enum):
    """Where the value of a CSR lives."""

    REGISTER = "a register of its own, generated from the fields"
    CONSTANT = "nowhere: it reads as its reset value and ignores writes"
    VIEW = "written out in the register file: computed, or kept in another form"
    COUNTER = "the counter block: counter values"
    COUNTER_CONTROL = "the counter block: event selectors and inhibits"
    PMP = "the PMP component"


class Guard(Enum):
    """Legality beyond existence, privilege and read-only addresses."""

    NONE = ""
    COUNTER = "S needs its bit in mcounteren, U also in scounteren"
    STIMECMP = "S needs menvcfg.STCE and mcounteren.TM"
    SATP = "illegal in S while mstatus.TVM"


class Accept(Enum):
    """When a write is taken at all. (A field may still refuse its part of it.)"""

    ALWAYS = ""
    TVEC_MODE = "a write with MODE 2 or 3 changes nothing"
    SATP_MODE = "a write with a MODE other than 0 or 8 changes nothing"


@dataclass(frozen=True)
class Field:
    """Bits `low` .. `low + width - 1` of a CSR.

    legal     what a write does, in words
    reset     value after reset
    stored    a generated register keeps what is written
    """

    name: str
    low: int
    width: int
    legal: str = "any value"
    reset: int = 0
    stored: bool = True

    @property
    def mask(self) -> int:
        return (1 << self.width) - 1 << self.low


@dataclass(frozen=True)
class Csr:
    """One CSR, or `count` of them `step` addresses apart, the first numbered `first`.

    Bits that no field names read as zero and ignore writes.
    """

    name: str
    address: int
    purpose: str
    source: Source = Source.REGISTER
    fields: tuple[Field, ...] = field(default=())
    guard: Guard = Guard.NONE
    accept: Accept = Accept.ALWAYS
    flush: bool = False  # a write changes what follows it in the pipeline: refetch
    count: int = 1
    step: int = 1
    first: int = 0

    @property
    def privilege(self) -> int:
        """Lowest privilege that may access it: address bits 9..8 (Privileged 2.1)."""
        return self.address >> 8 & 3

    @property
    def read_only(self) -> bool:
        """Address bits 11..10 are 3 (Privileged 2.1)."""
        return self.address >> 10 == 3

    @property
    def reset(self) -> int:
        return sum(f.reset << f.low for f in self.fields)

    @property
    def write_mask(self) -> int:
        """Bits of a generated register that a CSR write can change."""
        return sum(f.mask for f in self.fields if f.stored)

    @property
    def addresses(self) -> tuple[int, ...]:
        return tuple(self.address + n * self.step for n in range(self.count))

    def names(self) -> Iterator[tuple[int, str]]:
        """(address, name) of each."""
        for n, address in enumerate(self.addresses):
            yield address, f"{self.name}{self.first + n * self.step}" if self.count > 1 else self.name


def _constant(name: str, address: int, purpose: str, value: int = 0, width: int = 64) -> Csr:
    return Csr(
        name,
        address,
        purpose,
        Source.CONSTANT,
        (Field("", 0, width, f"always {value:#x}", value, False),) if value else (),
    )


def _fixed(name: str, low: int, width: int, value: int) -> Field:
    return Field(name, low, width, f"always {value}", value, stored=False)


def _interrupts(legal: str, *numbers: int, stored: bool = True) -> tuple[Field, ...]:
    names = {SSI: "SS", MSI: "MS", STI: "ST", MTI: "MT", SEI: "SE", MEI: "ME"}
    return tuple(Field(names[n], n, 1, legal, stored=stored) for n in numbers)


_WHOLE = (Field("", 0, 64),)
_TVEC = (
    Field("BASE", 2, 62),
    Field("MODE", 0, 1, "0 direct, 1 vectored (interrupts only)"),
    _fixed("MODE[1]", 1, 1, 0),
)
_EPC = (Field("", 1, 63, "any even address"), _fixed("[0]", 0, 1, 0))
_CAUSE = (Field("Interrupt", 63, 1), Field("Code", 0, 6, "any value of 6 bits"))
_SSTATUS_FIELDS = ("SIE", "SPIE", "SPP", "SUM", "MXR", "UXL")


def csr_table(config: CoreConfig) -> tuple[Csr, ...]:
    """Every CSR that a core of this configuration has."""
    counters = 3 + config.hpm_counters
    enable = (Field("CY, TM, IR, HPM", 0, counters, "any value for the counters that exist"),)
    last_event = len(events_layout().members)
    mstatus = (
        Field("SIE", 1, 1),
        Field("MIE", 3, 1),
        Field("SPIE", 5, 1),
        Field("MPIE", 7, 1),
        Field("SPP", 8, 1),
        Field("MPP", 11, 2, "0, 1 or 3; a write of 2 keeps the old value", 0, stored=False),
        Field("MPRV", 17, 1),
        Field("SUM", 18, 1),
        Field("MXR", 19, 1),
        Field("TVM", 20, 1),
        Field("TW", 21, 1),
        Field("TSR", 22, 1),
        _fixed("UXL", 32, 2, 2),
        _fixed("SXL", 34, 2, 2),
    )
    table = [
        # machine information
        _constant("mvendorid", 0xF11, "no JEDEC number"),
        _constant("marchid", 0xF12, "no architecture number assigned"),
        _constant("mimpid", 0xF13, "version of this implementation", MIMPID),
        _constant("mhartid", 0xF14, "hart number", config.hart_id),
        _constant("mconfigptr", 0xF15, "no configuration structure"),
        # machine trap setup
        Csr("mstatus", 0x300, "machine status; FS, VS, XS and SD are 0: no such state", fields=mstatus, flush=True),
        _constant("misa", 0x301, "RV64IMACSU, not writable", 2 << 62 | sum(1 << ord(c) - ord("A") for c in "IMACSU")),
        Csr(
            "medeleg",
            0x302,
            "exceptions that trap to S-mode",
            fields=(Field("0..9", 0, 10), Field("12, 13", 12, 2), Field("15", 15, 1)),
        ),
        Csr(
            "mideleg",
            0x303,
            "interrupts that trap to S-mode",
            Source.VIEW,
            _interrupts("any value", SSI, STI, SEI),
            flush=True,
        ),
        Csr(
            "mie",
            0x304,
            "interrupt enables",
            Source.VIEW,
            _interrupts("any value", SSI, MSI, STI, MTI, SEI, MEI),
            flush=True,
        ),
        Csr("mtvec", 0x305, "machine trap vector", fields=_TVEC, accept=Accept.TVEC_MODE),
        Csr("mcounteren", 0x306, "counters that S-mode may read", fields=enable),
        Csr(
            "menvcfg",
            0x30A,
            "environment of lower modes",
            fields=(Field("FIOM", 0, 1), Field("STCE", 63, 1, "any value: stimecmp drives mip.STIP")),
        ),
        Csr(
            "mcountinhibit",
            0x320,
            "counters that stand still",
            Source.COUNTER_CONTROL,
            (Field("CY", 0, 1), Field("IR, HPM", 2, counters - 2, "any value for the counters that exist")),
        ),
        # machine trap handling
        Csr("mscratch", 0x340, "for the machine trap handler", fields=_WHOLE),
        Csr("mepc", 0x341, "machine exception pc", fields=_EPC),
        Csr("mcause", 0x342, "machine trap cause", fields=_CAUSE),
        Csr("mtval", 0x343, "machine trap value", fields=_WHOLE),
        Csr(
            "mip",
            0x344,
            "interrupts pending",
            Source.VIEW,
            (
                *_interrupts("any value", SSI),
                *_interrupts("the CLINT's line", MSI, MTI),
                *_interrupts("any value; read-only, time >= stimecmp, while menvcfg.STCE", STI),
                *_interrupts(
                    "any value, reads ORed with the PLIC's line; set and clear do not see the line", SEI, stored=False
                ),
                *_interrupts("the PLIC's line", MEI, stored=False),
            ),
            flush=True,
        ),
        # supervisor
        Csr(
            "sstatus",
            0x100,
            "the supervisor's view of mstatus",
            Source.VIEW,
            tuple(
                Field(f.name, f.low, f.width, f"mstatus.{f.name}", f.reset, stored=False)
                for f in mstatus
                if f.name in _SSTATUS_FIELDS
            ),
            flush=True,
        ),
        Csr(
            "sie",
            0x104,
            "interrupt enables, of delegated interrupts",
            Source.VIEW,
            _interrupts("mie where mideleg is set, else 0 and not writable", SSI, STI, SEI, stored=False),
            flush=True,
        ),
        Csr("stvec", 0x105, "supervisor trap vector", fields=_TVEC, accept=Accept.TVEC_MODE),
        Csr("scounteren", 0x106, "counters that U-mode may read", fields=enable),
        Csr("senvcfg", 0x10A, "environment of U-mode", fields=(Field("FIOM", 0, 1),)),
        Csr("sscratch", 0x140, "for the supervisor trap handler", fields=_WHOLE),
        Csr("sepc", 0x141, "supervisor exception pc", fields=_EPC),
        Csr("scause", 0x142, "supervisor trap cause", fields=_CAUSE),
        Csr("stval", 0x143, "supervisor trap value", fields=_WHOLE),
        Csr(
            "sip",
            0x144,
            "interrupts pending, of delegated interrupts",
            Source.VIEW,
            (
                *_interrupts("mip where mideleg is set, else 0 and not writable", SSI),
                *_interrupts("mip where mideleg is set, else 0; never writable", STI, SEI, stored=False),
            ),
            flush=True,
        ),
        Csr(
            "stimecmp",
            0x14D,
            "supervisor timer interrupt when time >= stimecmp; reset to never",
            fields=(Field("", 0, 64, reset=(1 << 64) - 1),),
            guard=Guard.STIMECMP,
        ),
        Csr(
            "satp",
            0x180,
            "address translation",
            fields=(
                Field("MODE", 63, 1, "0 Bare, 8 Sv39 (MODE is bits 63..60)"),
                Field("ASID", 44, config.asid_width, f"any value of {config.asid_width} bits"),
                Field("PPN", 0, 44),
            ),
            guard=Guard.SATP,
            accept=Accept.SATP_MODE,
            flush=True,
        ),
        # counters. A write refetches: the counter block needs a few cycles between two of them.
        Csr("mcycle", 0xB00, "clock cycles", Source.COUNTER, _WHOLE, flush=True),
        Csr("minstret", 0xB02, "instructions retired", Source.COUNTER, _WHOLE, flush=True),
        Csr(
            "mhpmcounter",
            0xB03,
            f"event counters; from {counters} on always 0",
            Source.COUNTER,
            _WHOLE,
            flush=True,
            count=29,
            first=3,
        ),
        Csr(
            "mhpmevent",
            0x323,
            f"what mhpmcounter counts: 0 none, 1..{last_event} as in events_layout(); from {counters} on always 0",
            Source.COUNTER_CONTROL,
            (Field("", 0, last_event.bit_length(), f"0..{last_event}; a greater value is taken as 0", stored=False),),
            count=29,
            first=3,
        ),
        Csr("cycle", 0xC00, "mcycle", Source.COUNTER, _WHOLE, Guard.COUNTER),
        Csr("time", 0xC01, "mtime", Source.VIEW, _WHOLE, Guard.COUNTER),
        Csr("instret", 0xC02, "minstret", Source.COUNTER, _WHOLE, Guard.COUNTER),
        Csr("hpmcounter", 0xC03, "mhpmcounter", Source.COUNTER, _WHOLE, Guard.COUNTER, count=29, first=3),
        # triggers: tselect and tdata1 that stay 0 say that there are none (Debug 5.1)
        _constant("tselect", 0x7A0, "no triggers"),
        _constant("tdata", 0x7A1, "no triggers"),
        _constant("tinfo", 0x7A4, "type 0 only: no triggers", 1),
    ]
    table = [c if c.name != "tdata" else Csr("tdata", 0x7A1, c.purpose, c.source, count=3, first=1) for c in table]
    if config.pmp_entries:
        entry = Field(
            "pmpNcfg",
            0,
            64,
            "8 entries of 8 bits: L, A, X, W, R; R=0 W=1 is stored and allows stores only; locked entries keep",
            0,
        )
        address = Field("", 0, 54, "address bits 55..2; locked entries keep")
        table += [
            Csr("pmpcfg", 0x3A0, "PMP configuration", Source.PMP, (entry,), flush=True, count=2, step=2),
            Csr("pmpaddr", 0x3B0, "PMP addresses", Source.PMP, (address,), flush=True, count=16),
        ]
    return tuple(sorted(table, key=lambda c: c.address))


def csr_values_layout(config: CoreConfig) -> data.StructLayout:
    """The CSRs that a debugger sees, 64 bits each: those with a register of their own, and the machine's interrupts."""
    views = ("mideleg", "mie", "mip")
    return data.StructLayout(
        {c.name: 64 for c in csr_table(config) if c.source is Source.REGISTER or c.name in views},
    )


def reference(config: CoreConfig | None = None) -> str:
    """The table as Markdown, one row a field."""
    rows = [
        "| CSR | address | lowest mode | access | reset | field | bits | a write |",
        "|---|---|---|---|---|---|---|---|",
    ]
    modes = {0: "U", 1: "S", 3: "M"}
    for csr in csr_table(config or CoreConfig()):
        names = [name for _, name in csr.names()]
        span = f"{names[0]}..{names[-1]}" if csr.count > 1 else csr.name
        where = f"{csr.address:#05x}" + (f"..{csr.addresses[-1]:#05x}" if csr.count > 1 else "")
        remarks = "; ".join(t for t in (csr.purpose, csr.guard.value, csr.accept.value) if t)
        access = "read-only" if csr.read_only else "read/write"
        rows.append(f"| **{span}** | {where} | {modes[csr.privilege]} | {access} | {csr.reset:#x} | | | {remarks} |")
        for f in csr.fields:
            bits = f"{f.low + f.width - 1}..{f.low}" if f.width > 1 else f"{f.low}"
            if not csr.read_only and (f.name or f.legal != "any value"):
                rows.append(f"| | | | | | {f.name} | {bits} | {f.legal} |")
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    print(reference(), end="")
