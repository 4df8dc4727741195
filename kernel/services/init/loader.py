"""Makes programs: address space, table, threads, and the file's segments on pages of their own.

Everything of a program is made out of one untyped of its own: revoking that ends the program and gives all of it back,
however far the making had come.
"""

from kernel.abi import PAGE, Error, Kind, Rights
from kernel.arch.objects import bytes_of
from kernel.lang import *
from kernel.services import elf
from kernel.services.elf import MAX_SEGMENTS, ElfError, Program
from kernel.user import calls
from kernel.user.layout import SECOND_STACK_TOP, STACK_TOP, WINDOW

TABLE_LEVELS = 4
MOST_PAGES = 64
TABLE_BITS = 6
STACK_PAGES = 16  # at most
MOST_THREADS = 2


@struct
class Builder:
    """What a program is made with: memory, the maker's own space, the maker's slots for it."""

    memory: u64
    own_space: u64
    next_slot: u64
    last_slot: u64


@struct
class Child:
    """A program: handles in the maker's table, and where it begins."""

    space: u64
    table: u64
    slice: u64
    threads: Array[u64, MOST_THREADS]  # 0: there is no second one
    entry: u64
    machine: u16


@fn
def make(builder: Ptr[Builder], kind: Kind, bits: u64, handle: Ptr[u64]) -> Error:
    """A new object, in the builder's next slot."""
    if builder.next_slot > builder.last_slot:
        return Error.LIMIT
    error = calls.retype(builder.memory, 0, builder.next_slot, kind, bits, handle)
    if error == Error.NONE:
        builder.next_slot += 1
    return error


@fn
def map_page(builder: Ptr[Builder], space: u64, frame: u64, address: u64, rights: u8) -> Error:
    """Maps a page, with the tables it needs on the way."""
    for _ in range(TABLE_LEVELS):
        error = calls.map_page(frame, space, address, rights)
        if error != Error.NO_PAGE_TABLE:
            return error
        table: u64 = 0
        error = make(builder, Kind.PAGE_TABLE, 0, ptr(table))
        if error == Error.NONE:
            error = calls.map_table(table, space, address)
        if error != Error.NONE:
            return error
    return Error.NO_PAGE_TABLE


@fn
def map_window(builder: Ptr[Builder]) -> Error:
    """Makes the window's page tables, once: from then on a page can be mapped there without more."""
    frame: u64 = 0
    error = make(builder, Kind.FRAME, 12, ptr(frame))
    if error == Error.NONE:
        error = map_page(builder, builder.own_space, frame, WINDOW, Rights.READ)
    if error == Error.NONE:
        error = calls.unmap(frame)
    return error


@fn
def load_page(
    builder: Ptr[Builder], file: View[u8], program: Ptr[Program], number: usize, space: u64, page: u64
) -> Error:
    """One page of a segment: filled in the window, then mapped where it belongs."""
    segment = ptr(program.segments[number])
    rights: u8 = Rights.READ
    if segment.writable:
        rights = Rights.READ | Rights.WRITE
    elif segment.executable:
        rights = Rights.READ | Rights.EXECUTE
    frame: u64 = 0
    error = make(builder, Kind.FRAME, 12, ptr(frame))
    low = max(page, segment.start)
    high = min(page + PAGE, segment.start + segment.file_bytes)
    if error == Error.NONE and low < high:
        error = calls.map_page(frame, builder.own_space, WINDOW, Rights.READ | Rights.WRITE)
        if error == Error.NONE:
            target = bytes_of(WINDOW, PAGE)
            for i in bounded(range(high - low), PAGE):
                target[low - page + i] = file[segment.offset + (low - segment.start) + i]
            elf.relocate(file, program, 0, page, target)
            error = calls.unmap(frame)
    if error == Error.NONE:
        error = map_page(builder, space, frame, page, rights)
    return error


@fn
def load_segments(builder: Ptr[Builder], file: View[u8], program: Ptr[Program], space: u64) -> Error:
    """All pages of a program."""
    for i in bounded(range(program.segment_count), MAX_SEGMENTS):
        segment = ptr(program.segments[i])
        first = elf.page_start(segment.start)
        pages = (segment.start + segment.memory_bytes - first + PAGE - 1) // PAGE
        if pages > MOST_PAGES:
            return Error.NO_MEMORY
        for p in bounded(range(pages), MOST_PAGES):
            error = load_page(builder, file, program, i, space, first + p * PAGE)
            if error != Error.NONE:
                return error
    return Error.NONE


@fn
def make_stack(builder: Ptr[Builder], space: u64, top: u64, pages: u64) -> Error:
    """The pages below `top`; the page below them stays unmapped."""
    if pages > STACK_PAGES:
        return Error.NO_MEMORY
    for p in bounded(range(pages), STACK_PAGES):
        frame: u64 = 0
        error = make(builder, Kind.FRAME, 12, ptr(frame))
        if error == Error.NONE:
            error = map_page(builder, space, frame, top - (p + 1) * PAGE, Rights.READ | Rights.WRITE)
        if error != Error.NONE:
            return error
    return Error.NONE


@fn
def make_objects(builder: Ptr[Builder], threads: u64, child: Ptr[Child]) -> Error:
    """Space, table, slice, threads."""
    error = make(builder, Kind.SPACE, 0, ptr(child.space))
    if error == Error.NONE:
        error = make(builder, Kind.TABLE, TABLE_BITS, ptr(child.table))
    if error == Error.NONE:
        error = make(builder, Kind.SLICE, 0, ptr(child.slice))
    copy(child.threads, zero(Array[u64, MOST_THREADS]))
    for i in bounded(range(threads), MOST_THREADS):
        if error == Error.NONE:
            error = make(builder, Kind.THREAD, 0, ptr(child.threads[i]))
    return error


@fn
def load(builder: Ptr[Builder], file: View[u8], machine: u16, threads: u64, child: Ptr[Child]) -> Error:
    """Makes a program; its threads are not configured and not started."""
    program = Program()
    if elf.read(file, machine, ptr(program)) != ElfError.NONE:
        return Error.OUT_OF_RANGE
    error = make_objects(builder, threads, child)
    if error == Error.NONE:
        error = load_segments(builder, file, ptr(program), child.space)
    pages = elf.stack_pages(ptr(program))
    if error == Error.NONE:
        error = make_stack(builder, child.space, STACK_TOP, pages)
    if error == Error.NONE and threads > 1:
        error = make_stack(builder, child.space, SECOND_STACK_TOP, pages)
    child.entry = program.entry
    return error
