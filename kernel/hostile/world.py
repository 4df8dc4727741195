"""Making the neighbours and the attacker: programs of the same file, each with memory, table and space of its own."""

from kernel import archive
from kernel.abi import Error, Kind, Rights, SliceClass
from kernel.arch.objects import bytes_of
from kernel.lang import *
from kernel.services.init import loader
from kernel.services.init.loader import Builder, Child
from kernel.services.names import Name, name_words
from kernel.user import calls, first_table
from kernel.user.first_table import first_life
from kernel.user.layout import ARCHIVE_AT, STACK_TOP

LEVEL = 8  # of the interactive class: all of them the same
QUANTUM = 10_000  # ticks
MEMORY_BITS = 18  # of a program
OBJECTS = 64  # slots in the first program's table for each
ITSELF = constant(Name, {"words": list(name_words("hostile"))})


@struct
class Member:
    """A program: its memory, its objects, and where in the first program's table they are."""

    memory: u64
    child: Child


@fn
def make(member: Ptr[Member], untyped: u64, slot: u64, machine: u16, faults: u64, badge: u64) -> Error:
    """Loads this very file into memory and a space of its own; `slot` and those behind it are for its objects."""
    error = calls.retype(untyped, 0, slot, Kind.UNTYPED, MEMORY_BITS, ptr(member.memory))
    if error != Error.NONE:
        return error
    entry = zero(archive.Entry)
    name = Name()
    copy(name, ITSELF)
    whole = view(bytes_of(ARCHIVE_AT, archive.MOST_BYTES))
    if not archive.find(whole, ptr(name), ptr(entry)):
        return Error.OUT_OF_RANGE
    builder = Builder(
        memory=member.memory,
        own_space=first_life(first_table.SPACE),
        next_slot=slot + 2,
        last_slot=slot + OBJECTS - 1,
    )
    child = ptr(member.child)
    file = whole[usize(entry.offset) : usize(entry.offset + entry.bytes)]
    error = loader.load(ptr(builder), file, machine, 1, child)
    if error == Error.NONE:
        authority = first_life(first_table.SLICE)
        error = calls.slice_configure(child.slice, u64(SliceClass.INTERACTIVE), LEVEL, QUANTUM, authority)
    fault: u64 = 0
    if error == Error.NONE:
        error = calls.derive(faults, 0, slot + 1, Rights.WRITE, badge, 0, ptr(fault))
    if error == Error.NONE:
        error = calls.thread_configure(child.threads[0], child.table, child.space, fault, child.slice)
    if fault != 0:
        _ = calls.delete(fault)
    return error


@fn
def give(member: Ptr[Member], slot: u64, source: u64, rights: u8, badge: u64) -> Error:
    """A capability into a program's table."""
    made: u64 = 0
    return calls.derive(source, member.child.table, slot, rights, badge, 0, ptr(made))


@fn
def start(member: Ptr[Member], role: u64) -> Error:
    """Starts it, from the beginning."""
    return calls.thread_start(member.child.threads[0], member.child.entry, STACK_TOP, role)


@fn
def end(member: Ptr[Member]) -> Error:
    """Takes everything back."""
    error = calls.revoke(member.memory)
    return calls.delete(member.memory) if error == Error.NONE else error
