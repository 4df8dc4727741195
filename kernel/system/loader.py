"""Programs from the archive into address spaces of their own."""

from kernel.abi import PAGE, Error, Kind, SystemCall
from kernel.arch.objects import bytes_of
from kernel.lang import *
from kernel.services import elf
from kernel.services.elf import MAX_SEGMENTS, ElfError, Program
from kernel.system import calls, layout
from kernel.system.calls import request, result

WINDOW = 0x2000_0000  # where a page of another space is filled
TABLE_LEVELS = 4
MOST_PAGES = 256


@struct
class Child:
    """A program that was started: handles in the starter's table."""

    table: u64
    space: u64
    thread: u64
    slice: u64
    entry: u64


@struct
class Builder:
    """What a program is made with: untyped memory, the maker's own space, its next free slot."""

    memory: u64
    space: u64
    next_slot: u64


@fn
def stack_pages(program: Ptr[Program]) -> u64:
    """Pages of stack that a program needs; what it does not say is one."""
    return min(max(program.stack_bytes + PAGE - 1, PAGE) // PAGE, layout.MOST_STACK_PAGES)


@fn
def make(builder: Ptr[Builder], kind: Kind, bits: u64, handle: Ptr[u64]) -> Error:
    """A new object."""
    error = calls.retype(builder.memory, builder.next_slot, kind, bits)
    if error == Error.NONE:
        builder.next_slot += 1
        handle.value = result(0)
    return error


@fn
def map_page(builder: Ptr[Builder], space: u64, frame: u64, address: u64, rights: u64) -> Error:
    """Maps a page, with the tables it needs."""
    for _ in range(TABLE_LEVELS):
        error = request(SystemCall.MAP, frame, space, address, rights, 0)
        if error != Error.NO_PAGE_TABLE:
            return error
        table: u64 = 0
        error = make(builder, Kind.PAGE_TABLE, 0, ptr(table))
        if error != Error.NONE:
            return error
        error = request(SystemCall.MAP_TABLE, table, space, address, 0, 0)
        if error != Error.NONE:
            return error
    return Error.NO_PAGE_TABLE


@fn
def fill_page(file: View[u8], segment: Ptr[elf.Segment], page: u64) -> None:
    """Copies a segment's part of a page into the window."""
    target = bytes_of(WINDOW, PAGE)
    low = max(page, segment.start)
    high = min(page + PAGE, segment.start + segment.file_bytes)
    if low < high:
        for b in bounded(range(high - low), PAGE):
            target[low - page + b] = file[segment.offset + (low - segment.start) + b]


@fn
def load(builder: Ptr[Builder], file: View[u8], machine: u16, child: Ptr[Child]) -> Error:
    """Makes space, table, thread and slice of a program, and maps it; the thread is not started."""
    found = zero(Program)
    if elf.read(file, machine, ptr(found)) != ElfError.NONE:
        return Error.OUT_OF_RANGE
    error = make(builder, Kind.SPACE, 0, ptr(child.space))
    if error == Error.NONE:
        error = make(builder, Kind.TABLE, 5, ptr(child.table))
    if error == Error.NONE:
        error = make(builder, Kind.THREAD, 0, ptr(child.thread))
    if error == Error.NONE:
        error = make(builder, Kind.SLICE, 0, ptr(child.slice))
    if error != Error.NONE:
        return error
    child.entry = found.entry
    for i in bounded(range(found.segment_count), MAX_SEGMENTS):
        segment = ptr(found.segments[i])
        rights: u64 = 1
        if segment.writable:
            rights = 3
        elif segment.executable:
            rights = 5
        first = elf.page_start(segment.start)
        end = segment.start + segment.memory_bytes
        for p in bounded(range((end - first + PAGE - 1) // PAGE), MOST_PAGES):
            page = first + p * PAGE
            error = load_page(builder, file, segment, child.space, page, rights)
            if error != Error.NONE:
                return error
    for s in bounded(range(stack_pages(ptr(found))), layout.MOST_STACK_PAGES):
        frame: u64 = 0
        error = make(builder, Kind.FRAME, 12, ptr(frame))
        if error == Error.NONE:
            error = map_page(builder, child.space, frame, layout.STACK_TOP - (s + 1) * PAGE, 3)
        if error != Error.NONE:
            return error
    return Error.NONE


@fn
def load_page(
    builder: Ptr[Builder], file: View[u8], segment: Ptr[elf.Segment], space: u64, page: u64, rights: u64
) -> Error:
    """One page: filled in the window, then mapped where it belongs."""
    frame: u64 = 0
    error = make(builder, Kind.FRAME, 12, ptr(frame))
    if error == Error.NONE:
        error = map_page(builder, builder.space, frame, WINDOW, 3)
    if error != Error.NONE:
        return error
    fill_page(file, segment, page)
    error = request(SystemCall.UNMAP, frame, 0, 0, 0, 0)
    if error != Error.NONE:
        return error
    return map_page(builder, space, frame, page, rights)
