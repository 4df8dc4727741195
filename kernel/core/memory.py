"""Untyped memory: where every object comes from.

An untyped's badge is its extent: [0, used) was given out, [used, cleaned) is known to be zero. Both count units of one
cache line. When it has no children, nothing lives in it, and both go back to 0: whatever was there is cleaned again
before it is given out, in steps, and the progress is in `cleaned`.
"""

from kernel.abi import PAGE, AuditEvent, Error, Kind, SliceClass
from kernel.core import audit, capabilities, lookup, spaces
from kernel.core.access import (
    channel_at,
    header_at,
    line_at,
    slice_at,
    table_at,
    thread_at,
)
from kernel.core.objects import (
    LINE,
    MAX_TABLE_BITS,
    Channel,
    Endpoint,
    Extent,
    Line,
    Notification,
    Place,
    Slice,
    Slot,
    Space,
    Thread,
)
from kernel.core.state import kernel
from kernel.lang import *

CLEAN_LINES = 64  # a page in one step
MIN_BITS, MAX_BITS = 6, 38
PAGE_BITS = 12


@fn
def object_lines(kind: Kind, bits: u8) -> u32:
    """Cache lines that an object takes; 0 when there is no such object."""
    match kind:
        case Kind.UNTYPED:
            return u32(1) << (bits - 6) if bits >= MIN_BITS and bits < MAX_BITS else 0
        case Kind.FRAME | Kind.DMA:
            return u32(1) << (bits - 6) if bits >= PAGE_BITS and bits <= 21 else 0
        case Kind.TABLE:
            return 2 + (u32(1) << bits) if bits >= 1 and bits <= MAX_TABLE_BITS else 0
        case Kind.THREAD:
            return lines_of(Thread.size)
        case Kind.ENDPOINT:
            return lines_of(Endpoint.size)
        case Kind.NOTIFICATION:
            return lines_of(Notification.size)
        case Kind.CHANNEL:
            return lines_of(Channel.size)
        case Kind.SLICE:
            return lines_of(Slice.size)
        case Kind.SPACE:
            return PAGE // LINE + lines_of(Space.size)
        case Kind.PAGE_TABLE:
            return PAGE // LINE
        case Kind.EMPTY | Kind.DEVICE | Kind.INTERRUPT | Kind.AUDIT | Kind.MACHINE:
            return 0


@fn
def object_align(kind: Kind, bits: u8) -> u32:
    """Its alignment, in lines."""
    match kind:
        case Kind.UNTYPED | Kind.FRAME | Kind.DMA:
            return u32(1) << (bits - 6)
        case Kind.SPACE | Kind.PAGE_TABLE:
            return PAGE // LINE
        case _:
            return 1


@fn
def _clean(base: usize, extent: Extent, end: u32) -> Extent:
    """Zeroes some lines from `cleaned` towards `end`."""
    result = extent
    line = extent.cleaned
    for _ in range(CLEAN_LINES):
        if line >= end:
            break
        copy(line_at(base + usize_of(line)), zero(Line))
        line += 1
    result.cleaned = line
    return result


@fn
def usize_of(line: u32) -> usize:
    """Bytes in so many lines."""
    return exact(u64(line) * LINE, usize)


@fn
def sys_retype(thread: Ptr[Thread]) -> Error:
    """word0: table or 0, word1: slot, word2: kind, word3: log2 of size (of slots for tables). Handle in word0."""
    words = ptr(thread.frame.words)
    found = lookup.lookup(thread, thread.frame.handle, Kind.UNTYPED, 2)
    if found is None:
        return kernel.error
    untyped = some(found)
    slot = lookup.destination(thread, words[0], words[1])
    if slot is None:
        return kernel.error
    if words[2] > 15 or words[3] > 63:
        return Error.OUT_OF_RANGE
    kind = Kind(trunc(words[2], u8))
    bits = trunc(words[3], u8)
    lines = object_lines(kind, bits)
    if lines == 0:
        return Error.OUT_OF_RANGE
    extent = Extent(untyped.badge)
    if untyped.first is None:
        extent = Extent(used=0, cleaned=0) if extent.used != 0 else extent
    total = u32(1) << (untyped.size - 6)
    align = object_align(kind, bits)
    start = (extent.used + (align - 1)) & ~(align - 1)  # in this order: the sum of two 2^31 has no place
    if start > total or lines > total - start:
        return Error.NO_MEMORY
    end = start + lines
    if kind == Kind.UNTYPED:
        extent.cleaned = max(extent.cleaned, start)
    elif extent.cleaned < end:
        if extent.cleaned < start:
            extent.cleaned = start
        extent = _clean(untyped.object, extent, end)
        if extent.cleaned < end:
            untyped.badge = u64(extent)
            return Error.RESTART
    extent.used = end
    extent.cleaned = max(extent.cleaned, end)
    error = _create(untyped, some(slot), kind, bits, untyped.object + usize_of(start))
    if error != Error.NONE:
        return error
    untyped.badge = u64(extent)
    audit.record(AuditEvent.CREATED, some(slot), thread.frame.handle, Error.NONE)
    words[0] = lookup.handle_of(some(slot), words[1])
    return Error.NONE


@fn
def _create(untyped: Ptr[Slot], slot: Ptr[Slot], kind: Kind, bits: u8, address: usize) -> Error:
    """Makes the object in zeroed memory, with its first capability."""
    object = address
    match kind:
        case Kind.SPACE:
            object = address + PAGE
            if not spaces.begin(object):
                return Error.RESTART
            header_at(object).kind = kind
        case Kind.THREAD:
            thread = thread_at(address)
            thread.header.kind = kind
            thread.table.place = Place.THREAD_TABLE
            thread.space.place = Place.THREAD_SPACE
            thread.fault.place = Place.THREAD_FAULT
            thread.slice.place = Place.THREAD_SLICE
            kernel.thread_count += 1
            thread.identifier = kernel.thread_count
        case Kind.TABLE:
            table_at(address).count = u32(1) << bits
            header_at(address).kind = kind
        case Kind.SLICE:
            slice = slice_at(address)
            slice.quantum = DEFAULT_QUANTUM
            slice.slice_class = SliceClass.BACKGROUND
            header_at(address).kind = kind
        case Kind.CHANNEL:
            channel = channel_at(address)
            for entry in channel.entries:
                entry.slot.place = Place.CHANNEL
            kernel.channel_count += 1
            channel.identifier = kernel.channel_count
            header_at(address).kind = kind
        case Kind.ENDPOINT | Kind.NOTIFICATION:
            header_at(address).kind = kind
        case _:
            pass
    capabilities.fill(slot, untyped, kind, object, bits, 31)
    return Error.NONE


DEFAULT_QUANTUM = 100_000  # ticks: 10 ms


@fn
def lines_of(bytes: u32) -> u32:
    """Cache lines that so many bytes take."""
    return (bytes + LINE - 1) // LINE
