"""The first program: it has everything, and gives to each of the others what it needs."""

from kernel import archive
from kernel.abi import Error, Kind, SystemCall
from kernel.arch.objects import bytes_of
from kernel.lang import *
from kernel.services.elf import MACHINES
from kernel.system import bench, calls, console, layout, loader
from kernel.system.calls import request, result

ARCHIVE_ADDRESS = 0x3000_0000
FIRST_SLOT = 64
MACHINE = by_arch(riscv64=MACHINES["riscv64"], x86_64=MACHINES["x86_64"], aarch64=MACHINES["aarch64"], host=0)

builder = variable(loader.Builder)
client = variable(bench.Client)


@fn
def first_life(slot: u64) -> u64:
    """The first life of a slot."""
    return u64(1) << 32 | slot


@fn
def check(error: Error, what: Str) -> bool:
    """Says what went wrong."""
    if error == Error.NONE:
        return True
    console.put("init: ")
    console.put(what)
    console.put(" failed with error ")
    console.put_decimal(u64(error), 0)
    console.put("\n")
    return False


@fn
def largest_memory() -> u64:
    """The handle of the largest untyped."""
    best: u64 = 0
    bits: u64 = 0
    for slot in range(layout.FIRST_UNTYPED, layout.LAST_UNTYPED + 1):
        if request(SystemCall.INSPECT, u64(slot), 0, 0, 0, 0) == Error.NONE:
            if result(0) == u64(Kind.UNTYPED) and result(4) > bits:
                bits = result(4)
                best = result(7)
    return best


@fn
def map_archive() -> Error:
    """The image's programs."""
    for _ in range(4):
        error = request(SystemCall.MAP, first_life(layout.ARCHIVE), builder.space, ARCHIVE_ADDRESS, 1, 0)
        if error != Error.NO_PAGE_TABLE:
            return error
        table: u64 = 0
        error = loader.make(ptr(builder), Kind.PAGE_TABLE, 0, ptr(table))
        if error == Error.NONE:
            error = request(SystemCall.MAP_TABLE, table, builder.space, ARCHIVE_ADDRESS, 0, 0)
        if error != Error.NONE:
            return error
    return Error.NO_PAGE_TABLE


@fn
def start_clock_server(child: Ptr[loader.Child], endpoint: u64) -> Error:
    """Loads ipcbench's other side, gives it the endpoint to receive on, and starts it."""
    entry = zero(archive.Entry)
    whole = view(bytes_of(ARCHIVE_ADDRESS, archive.MOST_BYTES))
    if not archive.find(whole, "clock_server", ptr(entry)):
        return Error.OUT_OF_RANGE
    file = whole[usize(entry.offset) : usize(entry.offset + entry.bytes)]
    error = loader.load(ptr(builder), file, MACHINE, child)
    if error != Error.NONE:
        return error
    error = request(SystemCall.SLICE_CONFIGURE, child.slice, 1, 8, 100_000, first_life(layout.SLICE))
    if error == Error.NONE:
        error = calls.derive(endpoint, child.table, 1, 1, 0)
    if error == Error.NONE:
        error = request(SystemCall.THREAD_CONFIGURE, child.thread, child.table, child.space, 0, child.slice)
    if error == Error.NONE:
        error = request(SystemCall.THREAD_START, child.thread, child.entry, layout.STACK_TOP, 0, 0)
    return error


@fn
def run() -> None:
    """What init does."""
    builder.space = first_life(layout.SPACE)
    builder.next_slot = FIRST_SLOT
    builder.memory = largest_memory()
    if console.open(ptr(builder), first_life(layout.CONSOLE)) != Error.NONE:
        return
    console.put("init: running in user mode\n")
    if not check(map_archive(), "mapping the archive"):
        return
    endpoint: u64 = 0
    if not check(loader.make(ptr(builder), Kind.ENDPOINT, 0, ptr(endpoint)), "an endpoint"):
        return
    child = loader.Child(table=0, space=0, thread=0, slice=0, entry=0)
    if not check(start_clock_server(ptr(child), endpoint), "starting clock_server"):
        return
    client.endpoint = endpoint
    bench.run(ptr(client))


@fn
def main(argument: u64) -> u64:
    """Where the kernel enters."""
    _ = argument
    run()
    return 0
