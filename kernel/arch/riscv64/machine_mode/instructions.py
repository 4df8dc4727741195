"""Instructions of M-mode that Kernel Python has no words for.

The `lower_*` accesses use the address translation and privilege of the code that trapped (mstatus.MPRV, Privileged
3.1.6.3). They take faults themselves: mtvec points behind the access meanwhile, so that a bad address is a result and
not a second trap. After a fault mstatus is put back, since the trap has changed MPP.
"""

from typing import Never

from kernel.lang import *

# {0}: the access; t0 old mtvec, t1 old mstatus, t2 scratch of the access
_GUARDED = """la t0, 1f
csrrw t0, mtvec, t0
csrr t1, mstatus
csrs mstatus, {{flags}}
{0}
csrw mstatus, t1
li {{result}}, 0
j 2f
.balign 4
1: csrw mstatus, t1
csrr {{result}}, mcause
2: csrw mtvec, t0"""
_CLOBBERS = ("t0", "t1", "t2", "memory")
_EARLY = {"result": "&r"}


@assembly(
    "riscv64",
    _GUARDED.format("lbu t2, 0({address})\ncsrw mstatus, t1\nsb t2, 0({out})"),
    clobbers=_CLOBBERS,
    constraints=_EARLY,
)
def lower_load_byte(address: u64, flags: u64, out: Ptr[u8]) -> u64:
    """Loads one byte as the interrupted code would; 0, or the cause of the fault. flags: MPRV, and MXR to fetch."""
    return model.load(address, out)


@assembly("riscv64", _GUARDED.format("sb {value}, 0({address})"), clobbers=_CLOBBERS, constraints=_EARLY)
def lower_store_byte(address: u64, flags: u64, value: u64) -> u64:
    """Stores one byte as the interrupted code would; 0, or the cause of the fault."""
    return model.store(address, value & 0xFF)


def probe_csr(number: int):
    """An intrinsic that tells whether a CSR can be read: 0, or the cause of the trap."""

    @assembly(
        "riscv64",
        f"""la t0, 1f
csrrw t0, mtvec, t0
csrr t1, {number:#x}
li {{result}}, 0
j 2f
.balign 4
1: csrr {{result}}, mcause
2: csrw mtvec, t0""",
        clobbers=["t0", "t1", "memory"],
        constraints=_EARLY,
    )
    def probe() -> u64:
        return 2

    return probe


probe_menvcfg = probe_csr(0x30A)
probe_stimecmp = probe_csr(0x14D)
probe_time = probe_csr(0xC01)


class Memory:
    """Memory that the host-native model of the lower_ accesses sees: bytes by address; others fault."""

    def __init__(self) -> None:
        self.bytes: dict[int, int] = {}

    def load(self, address, out) -> int:
        if address not in self.bytes:
            return 5
        out.value = self.bytes[address]
        return 0

    def store(self, address: int, value: int) -> int:
        if address not in self.bytes:
            return 7
        self.bytes[address] = value
        return 0


model = Memory()


@assembly("riscv64", "wfi", clobbers=["memory"])
def wait_for_interrupt() -> None:
    """Waits until an interrupt that mie enables is pending; may return earlier."""


@assembly("riscv64", "fence.i", clobbers=["memory"])
def fence_instructions() -> None:
    """Makes stores visible to this hart's instruction fetch."""


@assembly("riscv64", "sfence.vma", clobbers=["memory"])
def fence_all_translations() -> None:
    """Orders page table stores before later translations, of all address spaces."""


@assembly("riscv64", "sfence.vma {address}, zero", clobbers=["memory"])
def fence_translation(address: u64) -> None:
    """The same for one address, in all address spaces."""


@assembly("riscv64", "sfence.vma zero, {space}", clobbers=["memory"])
def fence_space(space: u64) -> None:
    """The same for one address space."""


@assembly("riscv64", "sfence.vma {address}, {space}", clobbers=["memory"])
def fence_translation_of(address: u64, space: u64) -> None:
    """The same for one address in one address space."""


@assembly("riscv64", "fence rw, rw", clobbers=["memory"])
def fence_memory() -> None:
    """Orders all earlier memory accesses before all later ones."""


@assembly("riscv64", "fence iorw, iorw", clobbers=["memory"])
def fence_devices() -> None:
    """Orders accesses of memory and devices."""


@assembly("riscv64", "amoor.d.aqrl {result}, {bits}, ({place})", clobbers=["memory"], constraints=_EARLY)
def atomic_or(place: Ptr[u64], bits: u64) -> u64:
    """Sets bits; gives the old value."""
    old = place.value
    place.value = old | bits
    return old


@assembly("riscv64", "amoand.d.aqrl {result}, {bits}, ({place})", clobbers=["memory"], constraints=_EARLY)
def atomic_and(place: Ptr[u64], bits: u64) -> u64:
    """Keeps bits; gives the old value."""
    old = place.value
    place.value = old & bits
    return old


@assembly("riscv64", "amoswap.d.aqrl {result}, {value}, ({place})", clobbers=["memory"], constraints=_EARLY)
def atomic_swap(place: Ptr[u64], value: u64) -> u64:
    """Stores a value; gives the old one."""
    old = place.value
    place.value = value
    return old


@assembly(
    "riscv64",
    """1: lr.d.aqrl {result}, ({place})
bne {result}, {wanted}, 2f
sc.d.rl t0, {value}, ({place})
bnez t0, 1b
2:""",
    clobbers=["t0", "memory"],
    constraints=_EARLY,
)
def compare_and_swap(place: Ptr[u64], wanted: u64, value: u64) -> u64:
    """Stores a value where `wanted` is; gives what was there."""
    old = place.value
    if old == wanted:
        place.value = value
    return old


@assembly(
    "riscv64",
    """csrw mscratch, {stack}
mv a0, {first}
mv a1, {second}
mret""",
    clobbers=["a0", "a1", "memory"],
)
def leave(stack: u64, first: u64, second: u64) -> Never:
    """Goes to mepc in the mode of mstatus.MPP, a0 and a1 set. `stack` is where this hart's next trap starts."""
    raise NotImplementedError("there is no lower mode on the host")
