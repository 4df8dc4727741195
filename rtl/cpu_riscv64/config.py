"""What can be chosen about a core, and the widths that follow from it."""

from dataclasses import dataclass

XLEN = 64
LINE_BYTES = 64
LINE_BEATS = LINE_BYTES // 8
PAGE_BITS = 12
COLLISIONS_UNUSED = {"read_during_write": "unused"}
"""Attribute of a memory: nobody looks at what a read gives while another port writes the same row. Synthesis then need
not add the registers and multiplexers that make block RAM give the old row."""


@dataclass(frozen=True)
class CoreConfig:
    """Options of one core.

    hart_id          mhartid
    reset_pc         first address fetched (the `virt` boot ROM)
    pa_width         physical address bits that are decoded; an address with a higher bit set is an access fault
    cache_ways       ways of each cache; a way is 4 KiB so that the index lies below the translated bits
    tlb_sets         sets of each TLB (two ways, 4 KiB entries)
    asid_width       implemented satp.ASID bits
    pmp_entries      0, 16 or 64 in the specification; granularity is 4 bytes
    hpm_counters     programmable counters, mhpmcounter3 upwards
    store_buffer     entries of the store buffer
    btb_sets         sets of the branch target buffer (two ways)
    history_bits     global history length of gshare
    ras_entries      return address stack depth
    rvfi             build the RVFI port (tracing, lockstep, formal); off in the fast simulation and on FPGA
    """

    hart_id: int = 0
    reset_pc: int = 0x1000
    pa_width: int = 36
    cache_ways: int = 4
    tlb_sets: int = 64
    asid_width: int = 16
    pmp_entries: int = 16
    hpm_counters: int = 8
    store_buffer: int = 4
    btb_sets: int = 128
    history_bits: int = 10
    ras_entries: int = 8
    rvfi: bool = False

    def __post_init__(self) -> None:
        if self.pa_width not in range(32, 57):
            raise ValueError(f"pa_width must be 32..56, not {self.pa_width!r}")
        for name in ("cache_ways", "tlb_sets", "store_buffer", "btb_sets", "ras_entries"):
            value = getattr(self, name)
            if value < 1 or value & (value - 1):
                raise ValueError(f"{name} must be a power of two, not {value!r}")
        if self.store_buffer < 2:
            raise ValueError(f"store_buffer must be at least 2 (a crossing store takes two), not {self.store_buffer!r}")
        if self.asid_width not in range(0, 17):
            raise ValueError(f"asid_width must be 0..16, not {self.asid_width!r}")
        if self.pmp_entries not in (0, 8, 16):
            raise ValueError(f"pmp_entries must be 0, 8 or 16, not {self.pmp_entries!r}")
        if self.hpm_counters not in range(0, 30):
            raise ValueError(f"hpm_counters must be 0..29, not {self.hpm_counters!r}")

    @property
    def ppn_width(self) -> int:
        """Bits of a physical page number that are kept."""
        return self.pa_width - PAGE_BITS

    @property
    def cache_sets(self) -> int:
        """Sets of each cache: 4 KiB per way in 64-byte lines."""
        return (1 << PAGE_BITS) // LINE_BYTES
