"""From reset to the next stage. One hart reads the tree, sets the machine up and starts what fw_dynamic names; the
others wait until they are started.

What would make it run on in a wrong way ends here with a reason on the console: no device tree, a damaged one, no next
stage, one that lies where the firmware is.
"""

from typing import Never

from firmware import console, device_tree, fences, harts, reservation, sbi, state
from firmware.device_tree import TreeError
from firmware.trap import end_machine
from kernel.arch.riscv64.machine_mode import csr, entry, instructions, memory
from kernel.arch.riscv64.machine_mode.csr import Cause, Interrupt, Mode
from kernel.lang import *
from rtl import memory_map

DYNAMIC_MAGIC, DYNAMIC_VERSION = 0x4942_534F, 2
NO_PRINTS = 1
NO_PREFERENCE = (1 << 64) - 1

DELEGATED = sum(
    1 << cause
    for cause in (
        Cause.INSTRUCTION_MISALIGNED,
        Cause.INSTRUCTION_ACCESS,
        Cause.BREAKPOINT,
        Cause.LOAD_ACCESS,
        Cause.STORE_ACCESS,
        Cause.USER_CALL,
        Cause.INSTRUCTION_PAGE_FAULT,
        Cause.LOAD_PAGE_FAULT,
        Cause.STORE_PAGE_FAULT,
    )
)
DELEGATED_INTERRUPTS = Interrupt.SUPERVISOR_SOFTWARE | Interrupt.SUPERVISOR_TIMER | Interrupt.SUPERVISOR_EXTERNAL


@struct
class DynamicInfo:
    """What the loader wants started (OpenSBI docs/firmware/fw_dynamic.md)."""

    magic: u64
    version: u64
    next_address: u64
    next_mode: u64
    options: u64
    boot_hart: u64


dynamic_info_at = memory.pointer_to(DynamicInfo)


@fn
def stop(what: Str, why: Str, value: u64) -> Never:
    """Says why there is nothing to start, and ends the machine."""
    console.write("firmware: ")
    console.write(what)
    console.write(": ")
    console.write(why)
    console.write(" (")
    console.write_hex(value)
    console.write("); the machine stops\n")
    end_machine()


@fn
def protect() -> None:
    """PMP (Privileged 3.7): the firmware's region and the CLINT are M-mode's alone, everything else is open."""
    csr.pmpaddr0.write(napot(state.start_address(), state.region_bytes))
    csr.pmpaddr1.write(napot(memory_map.CLINT.base, memory_map.CLINT.size))
    csr.pmpaddr2.write((1 << 54) - 1)
    csr.pmpcfg0.write((csr.PMP_NAPOT | csr.PMP_RWX) << 16 | csr.PMP_NAPOT << 8 | csr.PMP_NAPOT)
    instructions.fence_all_translations()


@fn
def napot(base: u64, size: u64) -> u64:
    """pmpaddr of a naturally aligned power of two."""
    return base >> 2 | (size >> 3) - 1


@fn
def prepare_hart(me: u64) -> None:
    """What every hart's CSRs have to be before anything runs below M-mode."""
    csr.mie.write(0)
    csr.medeleg.write(DELEGATED)
    csr.mideleg.write(DELEGATED_INTERRUPTS)
    csr.mcounteren.write(COUNTERS)
    if instructions.probe_menvcfg() == 0:
        csr.menvcfg.write(csr.MENVCFG_STCE if state.has_sstc else u64(0))
    if state.has_sstc:
        csr.stimecmp.write(harts.FOREVER)
    memory.timer().mtimecmp[me].write(harts.FOREVER)
    protect()
    csr.mie.write(Interrupt.MACHINE_SOFTWARE)
    _ = instructions.atomic_or(ptr(state.online), u64(1) << me)


COUNTERS = (1 << 32) - 1
"""mcounteren: S-mode may read every counter that there is."""


@fn
def find_tree(address: u64) -> Span[u8]:
    """The device tree as bytes."""
    if address == 0 or address & 7 != 0:
        stop("device tree", "a1 must be its address, a multiple of 8", address)
    total = device_tree.total_size(view(memory.bytes_at(address, device_tree.HEADER_BYTES)))
    if total == 0:
        stop("device tree", device_tree.explain(TreeError.BAD_MAGIC), address)
    return memory.bytes_at(address, min(total, device_tree.MAX_BYTES))


@fn
def read_tree(address: u64) -> None:
    """Fills `state.facts`."""
    error = device_tree.read(view(find_tree(address)), ptr(state.facts))
    if error != TreeError.NONE:
        stop("device tree", device_tree.explain(error), address)


@fn
def room_behind(address: u64, next_address: u64) -> u64:
    """Bytes from the tree's start to whatever comes next: the end of its RAM, the initrd, the next stage."""
    end = address
    for i in bounded(range(state.facts.range_count), device_tree.MAX_RANGES):
        ram = ptr(state.facts.ranges[i])
        if address >= ram.base and address - ram.base < ram.size:
            end = ram.base + ram.size
    if state.facts.initrd_start > address:
        end = min(end, state.facts.initrd_start)
    if next_address > address:
        end = min(end, next_address)
    return min(end - address, device_tree.MAX_BYTES)


@fn
def reserve(address: u64, next_address: u64) -> None:
    """Tells the next stage in the tree that the firmware's memory is taken."""
    space = memory.bytes_at(address, room_behind(address, next_address))
    error = reservation.reserve(space, ptr(state.facts), state.start_address(), state.region_bytes)
    if error != TreeError.NONE:
        stop("device tree", device_tree.explain(error), address)


@fn
def measure() -> None:
    """Size of the firmware's region, and whether there is an stimecmp."""
    used = u64(address_of(ptr(state.image_end))) - state.start_address()
    state.region_bytes = 4096
    while bounded(state.region_bytes < used, 32):
        state.region_bytes *= 2
    assert state.start_address() & (state.region_bytes - 1) == 0, "the firmware is not aligned to its size"
    if instructions.probe_menvcfg() == 0:
        csr.menvcfg.write(csr.MENVCFG_STCE)
        state.has_sstc = csr.menvcfg.read() & csr.MENVCFG_STCE != 0 and instructions.probe_stimecmp() == 0


@fn
def banner(me: u64, info: Ptr[DynamicInfo], tree: u64) -> None:
    """What runs, on what, and what comes next."""
    console.write("\nSplax firmware: SBI ")
    console.write_decimal(sbi.VERSION >> 24)
    console.write(".")
    console.write_decimal(sbi.VERSION & 0xFF_FFFF)
    console.write(" on hart ")
    console.write_decimal(me)
    console.write(" of ")
    console.write_decimal(u64(state.facts.hart_count))
    facts = ptr(state.facts)
    if facts.isa_length > 1:
        console.write(", ")
        console.write_bytes(view(memory.bytes_at(tree + u64(facts.isa_at), u64(min(facts.isa_length - 1, 256)))))
    console.write("\n  RAM ")
    total: u64 = 0
    for i in bounded(range(facts.range_count), device_tree.MAX_RANGES):
        total += facts.ranges[i].size
    console.write_decimal(total >> 20)
    console.write(" MiB at ")
    console.write_hex(facts.ranges[0].base)
    console.write(", firmware ")
    console.write_hex(state.start_address())
    console.write("+")
    console.write_decimal(state.region_bytes >> 10)
    console.write(" KiB, timer ")
    console.write_decimal(u64(facts.timebase_hz))
    console.write(" Hz by ")
    console.write("stimecmp" if state.has_sstc else "CLINT")
    console.write("\n  next ")
    console.write_hex(info.next_address)
    console.write(" in ")
    console.write("M" if info.next_mode == 3 else "S" if info.next_mode == 1 else "U")
    console.write("-mode, device tree ")
    console.write_hex(tree)
    console.write("\n")


@fn
def check_next(info: Ptr[DynamicInfo]) -> Mode:
    """The mode of the next stage, when there is one to start."""
    if info.magic != DYNAMIC_MAGIC:
        stop("next stage", "a2 must be the address of fw_dynamic information: it has no OSBI magic", info.magic)
    if info.version > DYNAMIC_VERSION or info.version == 0:
        stop("next stage", "fw_dynamic information of a version that is not 1 or 2", info.version)
    if info.next_mode > 3 or info.next_mode == 2:
        stop("next stage", "its mode is not 0 (U), 1 (S) or 3 (M)", info.next_mode)
    if info.next_address & 1 != 0 or not state.is_supervisor_memory(info.next_address, 2):
        stop("next stage", "its address is not in RAM, or is the firmware's: name a kernel", info.next_address)
    return Mode(trunc(info.next_mode, u8))


@fn(symbol="firmware_boot", stack=entry.STACK_BYTES - entry.FATAL_BYTES)
def boot(me: u64, tree: u64, information: u64) -> Never:
    """The first hart, with .bss cleared: sets the machine up and starts the next stage."""
    console.initialize()
    measure()
    read_tree(tree)
    if information == 0 or information & 7 != 0:
        stop("next stage", "a2 must be the address of fw_dynamic information", information)
    info = dynamic_info_at(information)
    mode = check_next(info)
    for i in range(entry.MAX_HARTS):
        state.harts[i].state = harts.STOPPED
    if state.facts.harts >> me & 1 == 0:
        stop("device tree", "it does not have the hart that runs", me)
    if info.options & NO_PRINTS == 0 or info.version < 2:
        banner(me, info, tree)
    reserve(tree, info.next_address)
    prepare_hart(me)
    instructions.fence_memory()
    write_volatile(ptr(state.booted), 1)
    preferred = info.boot_hart if info.version >= 2 else u64(NO_PREFERENCE)
    address = info.next_address
    if preferred != me and preferred < entry.MAX_HARTS and mode == Mode.SUPERVISOR:
        if harts.start(preferred, address, tree) == sbi.Error.SUCCESS:
            harts.wait_stopped(me)
    state.harts[me].state = harts.STARTED
    harts.enter(me, address, tree, mode)


@fn(symbol="firmware_join", stack=entry.STACK_BYTES - entry.FATAL_BYTES)
def join(me: u64) -> Never:
    """Every other hart: waits for the first, then to be started."""
    while bounded(read_volatile(ptr(state.booted)) == 0, fences.PATIENCE):
        pass
    instructions.fence_memory()
    prepare_hart(me)
    harts.wait_stopped(me)
