"""System calls on threads: configure, start, stop, inspect, sleep."""

from kernel.abi import Error, Kind, ThreadState
from kernel.core import capabilities, clock, dissolve, ipc, lookup, machine, scheduler, threads, timers
from kernel.core.access import slice_at, space_at, thread_at
from kernel.core.objects import Slot, Thread
from kernel.core.state import kernel
from kernel.lang import *

KEEP = 0xFFFF_FFFF_FFFF_FFFF


@fn
def _install(thread: Ptr[Thread], handle: u64, kind: Kind, place: Ptr[Slot]) -> Error:
    """Puts a capability derived from the caller's into a slot of a thread; 0 empties it, KEEP leaves it.

    A thread acts with all that is in its table, reaches all that is mapped in its space, and is as urgent as its slice
    says. So these need EXECUTE, and the fault endpoint WRITE, as for any message.
    """
    if handle == KEEP:
        return Error.NONE
    if handle == 0:
        if place.kind != Kind.EMPTY:
            dissolve.empty(place)
        return Error.NONE
    found = lookup.lookup(thread, handle, kind, 2 if kind == Kind.ENDPOINT else 4)
    if found is None:
        return kernel.error
    source = some(found)
    if source.expiry != 0:
        return Error.EXPIRED
    if place.generation == 0xFFFF_FFFF:
        return Error.LIMIT
    if place.kind != Kind.EMPTY:
        dissolve.empty(place)
    return capabilities.derive(source, place, source.rights, ipc.source_badge(source), 0)


@fn
def sys_configure(thread: Ptr[Thread]) -> Error:
    """On a stopped thread: word0: table, word1: space, word2: fault endpoint, word3: slice; 0 none, KEEP."""
    words = ptr(thread.frame.words)
    found = lookup.lookup(thread, thread.frame.handle, Kind.THREAD, 2)
    if found is None:
        return kernel.error
    target = thread_at(some(found).object)
    if target.state != ThreadState.STOPPED and target.state != ThreadState.FAULTED:
        return Error.BUSY
    threads.stop(target)
    error = _install(thread, words[0], Kind.TABLE, ptr(target.table))
    if error == Error.NONE:
        error = _install(thread, words[1], Kind.SPACE, ptr(target.space))
    if error == Error.NONE:
        error = _install(thread, words[2], Kind.ENDPOINT, ptr(target.fault))
    if error == Error.NONE:
        error = _install(thread, words[3], Kind.SLICE, ptr(target.slice))
    if target.slice.kind == Kind.SLICE:
        target.base_level = slice_at(target.slice.object).level
        target.level = target.base_level
    if target.space.kind == Kind.SPACE:
        target.translation = space_at(target.space.object).translation
    return error


@fn
def sys_start(thread: Ptr[Thread]) -> Error:
    """On a stopped thread: word0: where, word1: stack pointer, word2: argument."""
    words = ptr(thread.frame.words)
    found = lookup.lookup(thread, thread.frame.handle, Kind.THREAD, 4)
    if found is None:
        return kernel.error
    target = thread_at(some(found).object)
    if target.state != ThreadState.STOPPED and target.state != ThreadState.FAULTED:
        return Error.BUSY
    if not scheduler.runnable(target):
        return Error.OUT_OF_RANGE
    threads.stop(target)
    target.quantum = 0
    machine.start(ptr(target.frame), words[0], words[1], words[2])
    scheduler.make_ready(target)
    return Error.NONE


@fn
def sys_stop(thread: Ptr[Thread]) -> Error:
    """Stops a thread wherever it is; its partner gets PEER_GONE."""
    found = lookup.lookup(thread, thread.frame.handle, Kind.THREAD, 4)
    if found is None:
        return kernel.error
    threads.stop(thread_at(some(found).object))
    return Error.NONE


@fn
def sys_inspect(thread: Ptr[Thread]) -> Error:
    """A thread by the handle; or, where word0 or word1 is not 0, by a slot that they and the handle name as for
    INSPECT.

    word0: state, word1: level, word2: base level, word3: cause and word4: address of its last fault, word5: its number,
    word6: whether it owes a reply.
    """
    words = ptr(thread.frame.words)
    found: Ptr[Slot] | None = None
    if words[0] == 0 and words[1] == 0:
        found = lookup.lookup(thread, thread.frame.handle, Kind.THREAD, 1)
    else:
        found = lookup.inspected(thread)
    if found is None:
        return kernel.error
    if some(found).kind != Kind.THREAD:
        return Error.WRONG_KIND
    target = thread_at(some(found).object)
    words[0] = u64(target.state)
    words[1] = u64(target.level)
    words[2] = u64(target.base_level)
    words[3] = target.fault_cause
    words[4] = target.fault_address
    words[5] = target.identifier
    words[6] = 1 if target.caller is not None else 0
    words[7] = 0
    return Error.NONE


@fn
def sys_sleep(thread: Ptr[Thread]) -> Error:
    """Waits for `timeout` ticks."""
    if thread.frame.timeout == 0:
        return Error.NONE
    time = clock.now()
    timeout = thread.frame.timeout
    thread.expires = False
    timers.add(thread, time + timeout if timeout < KEEP - time else KEEP)
    thread.state = ThreadState.SLEEPING
    scheduler.leave()
    return ipc.WAITS
