"""The first program on the command line `user`: starts ipcbench's two sides, and nothing else."""

from kernel import archive
from kernel.abi import Error, Kind, Rights, SliceClass
from kernel.arch.objects import bytes_of
from kernel.ipcbench import console, measure
from kernel.ipcbench.server import ENDPOINT_SLOT
from kernel.lang import *
from kernel.services.init import loader
from kernel.services.init.loader import Builder, Child
from kernel.services.init.memory import largest_untyped
from kernel.services.names import Name, name_words
from kernel.user import calls, first_table
from kernel.user.first_table import first_life
from kernel.user.layout import ARCHIVE_AT, STACK_TOP

FIRST_SLOT = 64
LEVEL = 8  # of the interactive class
QUANTUM = 100_000  # ticks
SERVER = constant(Name, {"words": list(name_words("clock_server"))})

builder = variable(Builder)
client = variable(measure.Client)


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
def start_clock_server(child: Ptr[Child], endpoint: u64, machine: u16) -> Error:
    """Loads ipcbench's other side, gives it the endpoint to receive on, and starts it."""
    entry = zero(archive.Entry)
    name = Name()
    copy(name, SERVER)
    whole = view(bytes_of(ARCHIVE_AT, archive.MOST_BYTES))
    if not archive.find(whole, ptr(name), ptr(entry)):
        return Error.OUT_OF_RANGE
    file = whole[usize(entry.offset) : usize(entry.offset + entry.bytes)]
    error = loader.load(ptr(builder), file, machine, 1, child)
    if error == Error.NONE:
        authority = first_life(first_table.SLICE)
        error = calls.slice_configure(child.slice, u64(SliceClass.INTERACTIVE), LEVEL, QUANTUM, authority)
    made: u64 = 0
    if error == Error.NONE:
        error = calls.derive(endpoint, child.table, ENDPOINT_SLOT, Rights.READ, 0, 0, ptr(made))
    if error == Error.NONE:
        error = calls.thread_configure(child.threads[0], child.table, child.space, 0, child.slice)
    if error == Error.NONE:
        error = calls.thread_start(child.threads[0], child.entry, STACK_TOP, 0)
    return error


@fn
def run(machine: u16) -> None:
    """What init does."""
    builder.own_space = first_life(first_table.SPACE)
    builder.next_slot = FIRST_SLOT
    builder.last_slot = (1 << first_table.TABLE_BITS) - 1
    builder.memory = largest_untyped()
    if console.open(ptr(builder), first_life(first_table.CONSOLE)) != Error.NONE:
        return
    console.put("init: running in user mode\n")
    mapped = loader.map_page(ptr(builder), builder.own_space, first_life(first_table.ARCHIVE), ARCHIVE_AT, Rights.READ)
    if not check(mapped, "mapping the archive"):
        return
    mapped = loader.map_window(ptr(builder))
    if not check(mapped, "mapping the loader's window"):
        return
    endpoint: u64 = 0
    if not check(loader.make(ptr(builder), Kind.ENDPOINT, 0, ptr(endpoint)), "an endpoint"):
        return
    child = Child()
    if not check(start_clock_server(ptr(child), endpoint, machine), "starting clock_server"):
        return
    client.endpoint = endpoint
    measure.run(ptr(client))


@fn
def main(argument: u64) -> u64:
    """Where the kernel enters; the argument is ELF's number of the architecture."""
    run(trunc(argument, u16))
    return 0
