"""Runs a program for the shell: one at a time, in memory set aside for it, with what kernel/services/run says."""

from kernel import archive
from kernel.abi import TAG_EXIT, Error, Kind, Rights, SliceClass
from kernel.arch.objects import bytes_of
from kernel.lang import *
from kernel.services.init import loader
from kernel.services.init.loader import Builder, Child
from kernel.services.names import Name, same_name
from kernel.services.protocol import FAULT_BADGE, GUEST_BADGE
from kernel.services.run import (
    FINDER_SLOT,
    KIT_ARCHIVE,
    KIT_MEMORY,
    KIT_SLICE,
    KIT_SPACE,
    KIT_TABLE,
    LEVEL,
    PROGRAM_COUNT,
    ROWS,
    SESSION_BADGE,
    SESSION_SLOT,
    Outcome,
)
from kernel.user import calls, first_table
from kernel.user.first_table import first_life
from kernel.user.layout import ARCHIVE_AT, STACK_TOP
from kernel.user.message import Message

JOB_FAULT_BADGE = FAULT_BADGE + 1
QUANTUM = 100_000  # ticks: 10 ms


@struct
class Job:
    """The program that runs, or the last one that did."""

    memory: u64  # its untyped
    session: u64  # what its console session is derived from
    atlas: u64  # what it finds services by is derived from
    told: u64  # S-INIT's endpoint: who hears of its end
    scratch: u64  # a slot for what is on its way
    first_slot: u64  # for its objects
    last_slot: u64
    child: Child
    number: u64  # which of the programs
    outcome: Outcome
    value: u64  # exit status, or the CPU's cause
    at: u64  # address of the fault
    place: u64  # program counter of the fault


@fn
def find(name: Ptr[Name], number: Ptr[u64]) -> bool:
    """Looks a program up among those that `run` may start."""
    for i in range(PROGRAM_COUNT):
        row = Name()
        copy(row, ROWS[i].name)
        if same_name(ptr(row), name):
            number.value = u64(i)
            return True
    return False


@fn
def derive(source: u64, child: Ptr[Child], slot: u64, rights: u8, badge: u64) -> Error:
    """A capability into the program's table."""
    made: u64 = 0
    return calls.derive(source, child.table, slot, rights, badge, 0, ptr(made))


@fn
def give_kit(builder: Ptr[Builder], child: Ptr[Child], bits: u64) -> Error:
    """What making other programs takes."""
    made: u64 = 0
    slice: u64 = 0
    error = derive(child.table, child, KIT_TABLE, Rights.READ | Rights.WRITE | Rights.EXECUTE, 0)
    if error == Error.NONE:
        error = derive(child.space, child, KIT_SPACE, Rights.WRITE | Rights.EXECUTE, 0)
    if error == Error.NONE:
        error = loader.make(builder, Kind.SLICE, 0, ptr(slice))
    if error == Error.NONE:
        error = set_slice(slice, LEVEL + 1)
    if error == Error.NONE:
        error = derive(slice, child, KIT_SLICE, Rights.GRANT, 0)
    if error == Error.NONE:
        error = derive(first_life(first_table.ARCHIVE), child, KIT_ARCHIVE, Rights.READ, 0)
    if error == Error.NONE:
        error = calls.retype(builder.memory, child.table, KIT_MEMORY, Kind.UNTYPED, bits, ptr(made))
    return error


@fn
def set_slice(slice: u64, level: u64) -> Error:
    """A time slice of a program."""
    return calls.slice_configure(slice, u64(SliceClass.INTERACTIVE), level, QUANTUM, first_life(first_table.SLICE))


@fn
def set_going(job: Ptr[Job], argument: u64) -> Error:
    """Configures and starts the thread; S-INIT hears when it ends."""
    fault: u64 = 0
    child = ptr(job.child)
    error = set_slice(child.slice, LEVEL)
    if error == Error.NONE:
        error = calls.derive(job.told, 0, job.scratch, Rights.WRITE, JOB_FAULT_BADGE, 0, ptr(fault))
    if error == Error.NONE:
        error = calls.thread_configure(child.threads[0], child.table, child.space, fault, child.slice)
        _ = calls.delete(fault)
    if error == Error.NONE:
        error = calls.thread_start(child.threads[0], child.entry, STACK_TOP, argument)
    return error


@fn
def start(job: Ptr[Job], name: Ptr[Name], argument: u64, machine: u16) -> Error:
    """RUN."""
    if job.outcome == Outcome.RUNNING:
        return Error.BUSY
    entry = zero(archive.Entry)
    archived = view(bytes_of(ARCHIVE_AT, archive.MOST_BYTES))
    number: u64 = 0
    if not find(name, ptr(number)) or not archive.find(archived, name, ptr(entry)):
        return Error.OUT_OF_RANGE
    job.number = number
    file = archived[usize(entry.offset) : usize(entry.offset + entry.bytes)]
    builder = Builder(
        memory=job.memory,
        own_space=first_life(first_table.SPACE),
        next_slot=job.first_slot,
        last_slot=job.last_slot,
    )
    child = ptr(job.child)
    error = loader.load(ptr(builder), file, machine, 1, child)
    if error == Error.NONE:
        error = derive(job.session, child, SESSION_SLOT, Rights.WRITE, SESSION_BADGE)
    if error == Error.NONE and ROWS[number].finds:
        error = derive(job.atlas, child, FINDER_SLOT, Rights.WRITE, GUEST_BADGE | (number + 1))
    bits = u64(ROWS[number].kit_bits)
    if error == Error.NONE and bits != 0:
        error = give_kit(ptr(builder), child, bits)
    if error == Error.NONE:
        error = set_going(job, argument)
    if error == Error.NONE:
        job.outcome = Outcome.RUNNING
    else:
        _ = calls.revoke(job.memory)
    return error


@fn
def ended(job: Ptr[Job], message: Ptr[Message]) -> None:
    """The kernel says that it ended: why is kept, its memory is taken back."""
    job.outcome = Outcome.EXITED if message.words[0] == TAG_EXIT else Outcome.FAULTED
    job.value = message.words[1]
    job.at = message.words[2]
    job.place = message.words[3]
    _ = calls.revoke(job.memory)


@fn
def kill(job: Ptr[Job]) -> Error:
    """KILL_PROGRAM."""
    if job.outcome != Outcome.RUNNING:
        return Error.OUT_OF_RANGE
    job.outcome = Outcome.KILLED
    return calls.revoke(job.memory)


@fn
def tell(job: Ptr[Job], message: Ptr[Message]) -> Error:
    """OUTCOME."""
    message.words[1] = u64(job.outcome)
    message.words[2] = job.value
    message.words[3] = job.at
    message.words[4] = job.place
    for i in range(3):
        message.words[5 + i] = ROWS[job.number].name.words[i]
    return Error.NONE
