"""Loads the first program, in the boot thread's name. Every other program is loaded by user code.

The program is the image's own, so what is wrong with it is a panic.
"""

from kernel.abi import PAGE, Error, Kind, SystemCall
from kernel.arch.objects import bytes_of
from kernel.core import boot
from kernel.core.access import table_slot
from kernel.lang import *
from kernel.services import elf
from kernel.services.elf import MAX_SEGMENTS, ElfError, Program
from kernel.user.layout import STACK_TOP

FIRST_SLOT = 128
TABLE_LEVELS = 3
MOST_PAGES = 256

next_slot = variable(u64, FIRST_SLOT)


@fn
def object(memory: u64, kind: Kind, bits: u64) -> u64:
    """A new object in the next slot; gives its handle."""
    global next_slot
    assert boot.request(SystemCall.RETYPE, memory, 0, next_slot, u64(kind), bits) == Error.NONE, "no memory for init"
    next_slot += 1
    return boot.result(0)


@fn
def map_page(memory: u64, space: u64, frame: u64, address: u64, rights: u64) -> None:
    """Maps a page, with the tables it needs."""
    for _ in range(TABLE_LEVELS + 1):
        error = boot.request(SystemCall.MAP, frame, space, address, rights, 0)
        if error == Error.NONE:
            return
        assert error == Error.NO_PAGE_TABLE, "init cannot be mapped"
        table = object(memory, Kind.PAGE_TABLE, 0)
        error = boot.request(SystemCall.MAP_TABLE, table, space, address, 0, 0)
        assert error == Error.NONE, "init cannot be mapped"
    panic("init cannot be mapped")


@fn
def frame_bytes(frame: u64) -> Span[u8]:
    """A frame's contents, as the kernel sees them."""
    return bytes_of(table_slot(ptr(boot.boot_table.table), frame & 0xFFFF_FFFF).object, PAGE)


@fn
def program(file: View[u8], machine: u16, memory: u64, space: u64) -> u64:
    """Maps a program and its stack; gives the entry."""
    found = zero(Program)
    assert elf.read(file, machine, ptr(found)) == ElfError.NONE, "init is not a program"
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
            frame = object(memory, Kind.FRAME, 12)
            target = frame_bytes(frame)
            low = max(page, segment.start)
            high = min(page + PAGE, segment.start + segment.file_bytes)
            if low < high:
                for b in bounded(range(high - low), PAGE):
                    target[low - page + b] = file[segment.offset + (low - segment.start) + b]
            map_page(memory, space, frame, page, rights)
    for s in bounded(range(elf.stack_pages(ptr(found))), MOST_PAGES):
        frame = object(memory, Kind.FRAME, 12)
        map_page(memory, space, frame, STACK_TOP - (s + 1) * PAGE, 3)
    return found.entry
