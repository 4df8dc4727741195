"""From the facts of the boot to the first program: memory and devices become capabilities, and all are the program's.

The table that it starts with is described in kernel/user/first_table.py.
"""

from kernel import archive
from kernel.abi import PAGE, Error, Kind, SystemCall
from kernel.arch.objects import bytes_of
from kernel.archive import Entry
from kernel.boot_info import MAX_REGIONS, BootInfo, ConsoleKind, RegionKind, has_word, text_view
from kernel.core import boot, load, machine, system_calls
from kernel.core.access import slice_at, table_slot, thread_at
from kernel.core.state import kernel
from kernel.lang import *
from kernel.linked import user_archive, user_archive_end
from kernel.printing import leave_console, put, put_byte, put_decimal
from kernel.services.names import NAME_BYTES, Name, name_byte, name_length, name_words
from kernel.user import first_table
from kernel.user.layout import STACK_TOP

UNTYPED_LIMIT = first_table.LAST_UNTYPED + 1 - first_table.FIRST_UNTYPED
SMALLEST = 16  # log2 of the smallest untyped that is worth a slot

untyped_count = variable(u64, 0)


@fn
def add_memory(info: Ptr[BootInfo]) -> None:
    """Free memory, in aligned powers of two."""
    global untyped_count
    for i in bounded(range(info.region_count), MAX_REGIONS):
        region = ptr(info.regions[i])
        if region.kind == RegionKind.FREE:
            start = region.base
            end = region.base + region.size
            for _ in range(64):
                if start >= end or untyped_count == UNTYPED_LIMIT:
                    break
                bits = min(ctz(start), 63 - clz(end - start))
                bits = min(bits, 37)
                if bits >= SMALLEST:
                    index = first_table.FIRST_UNTYPED + untyped_count
                    _ = boot.add(index, Kind.UNTYPED, machine.virtual(start), trunc(bits, u8), 31)
                    untyped_count += 1
                start += u64(1) << bits


@fn
def largest() -> u64:
    """The handle of the largest untyped."""
    best: u64 = first_table.FIRST_UNTYPED
    for i in bounded(range(1, untyped_count), UNTYPED_LIMIT):
        index = first_table.FIRST_UNTYPED + i
        table = ptr(boot.boot_table.table)
        if table_slot(table, index).size > table_slot(table, best).size:
            best = index
    return boot.handle_at(best)


@fn
def must(error: Error) -> None:
    """The first program cannot be started without it."""
    assert error == Error.NONE, "the first program cannot be set up"


@fn
def make(memory: u64, index: u64, kind: Kind, bits: u64) -> u64:
    """A new object in a slot of the boot table; gives its handle."""
    must(boot.request(SystemCall.RETYPE, memory, 0, index, u64(kind), bits))
    return boot.result(0)


HOSTILE = constant(Name, {"words": list(name_words("hostile"))})
FUZZ = constant(Name, {"words": list(name_words("fuzz"))})
KILLS = constant(Name, {"words": list(name_words("kills"))})
SERVICES = constant(Name, {"words": list(name_words("s-init"))})


@fn
def first_name(info: Ptr[BootInfo], name: Ptr[Name]) -> None:
    """The first program: S-INIT, or by a word of the command line: `hostile`, `fuzz`, `kills` the tests."""
    line = text_view(ptr(info.command_line))
    if has_word(line, "hostile"):
        copy(name, HOSTILE)
    elif has_word(line, "fuzz"):
        copy(name, FUZZ)
    elif has_word(line, "kills"):
        copy(name, KILLS)
    else:
        copy(name, SERVICES)


@fn
def first_program(info: Ptr[BootInfo]) -> None:
    """Makes the kernel's objects and the first thread, ready to run."""
    leave_console()
    boot.begin()
    kernel.facts = info
    add_memory(info)
    assert untyped_count > 0, "no memory is left for programs"
    if info.console == ConsoleKind.NS16550 or info.console == ConsoleKind.PL011:
        base = machine.virtual(info.console_base // PAGE * PAGE)
        _ = boot.add(first_table.CONSOLE, Kind.DEVICE, base, 12, 27)
        _ = boot.add(first_table.CONSOLE_INTERRUPT, Kind.INTERRUPT, usize(info.console_interrupt), 0, 27)
    if info.clock_interrupt != 0:
        _ = boot.add(first_table.CLOCK, Kind.DEVICE, machine.virtual(info.clock_base // PAGE * PAGE), 12, 27)
        _ = boot.add(first_table.CLOCK_INTERRUPT, Kind.INTERRUPT, usize(info.clock_interrupt), 0, 27)
    _ = boot.add(first_table.MACHINE, Kind.MACHINE, 0, 0, 31)
    _ = boot.add(first_table.AUDIT, Kind.AUDIT, 0, 0, 31)
    programs = address_of(ptr(user_archive))
    size = u64(address_of(ptr(user_archive_end)) - programs)
    _ = boot.add(first_table.ARCHIVE, Kind.DEVICE, programs, trunc(ctz(size), u8), 25)
    memory = largest()
    table = make(memory, first_table.TABLE, Kind.TABLE, first_table.TABLE_BITS)
    space = make(memory, first_table.SPACE, Kind.SPACE, 0)
    thread = make(memory, first_table.THREAD, Kind.THREAD, 0)
    slice = make(memory, first_table.SLICE, Kind.SLICE, 0)
    slice_object = slice_at(table_slot(ptr(boot.boot_table.table), first_table.SLICE).object)
    slice_object.level = 63
    entry = zero(Entry)
    files = view(bytes_of(programs, exact(size, usize)))
    name = Name()
    first_name(info, ptr(name))
    assert archive.find(files, ptr(name), ptr(entry)), "the image does not have the first program"
    file = files[usize(entry.offset) : usize(entry.offset + entry.bytes)]
    put("first program ")
    for i in bounded(range(name_length(ptr(name))), NAME_BYTES):
        put_byte(name_byte(ptr(name), i))
    put(", ")
    put_decimal(entry.bytes)
    put(" bytes of an archive of ")
    put_decimal(size)
    put(", ")
    put_decimal(untyped_count)
    put(" pieces of free memory\n")
    start = load.program(file, machine.ELF_MACHINE, memory, space)
    must(boot.request(SystemCall.THREAD_CONFIGURE, thread, table, space, 0, slice))
    system_calls.first_program = thread_at(table_slot(ptr(boot.boot_table.table), first_table.THREAD).object).identifier
    must(boot.request(SystemCall.THREAD_START, thread, start, STACK_TOP, u64(machine.ELF_MACHINE), 0))
    hand_over(table)
    boot.end()


@fn
def hand_over(table: u64) -> None:
    """Moves everything that the layout names into the first program's table, its own table last."""
    for i in range(first_table.LAST + 1):
        index = u64(first_table.LAST - i)
        if index != first_table.TABLE:
            if table_slot(ptr(boot.boot_table.table), index).kind != Kind.EMPTY:
                must(boot.request(SystemCall.MOVE, boot.handle_at(index), table, index, 0, 0))
    must(boot.request(SystemCall.DERIVE, table, table, first_table.TABLE, 31, 0))
