"""Who runs: 64 levels, a queue each, a bitmap. The running thread is in no queue.

A thread gives the CPU up in four ways: it waits (and starts with a new quantum when it is ready again), it hands over
to the thread it exchanged a message with (which goes on in its place, with the rest of its quantum), its quantum ends
(to the end of its queue, with a new one), or a more urgent thread got ready (to the front of its queue, with the rest).
"""

from kernel.abi import Kind, ThreadState
from kernel.core import clock, machine, queues, timers
from kernel.core.access import slice_at
from kernel.core.objects import Thread
from kernel.core.state import kernel
from kernel.lang import *

NO_DEADLINE = 0xFFFF_FFFF_FFFF_FFFF


@fn
def enqueue(thread: Ptr[Thread], at_front: bool) -> None:
    """Puts a ready thread into the queue of its level."""
    level = thread.level & 63
    queue = ptr(kernel.queues[level])
    if at_front:
        queues.prepend(queue, thread)
    else:
        queues.append(queue, thread)
    kernel.ready |= u64(1) << level


@fn
def dequeue(thread: Ptr[Thread]) -> None:
    """Takes a ready thread out of the queue of its level."""
    level = thread.level & 63
    queue = ptr(kernel.queues[level])
    queues.take(queue, thread)
    if queue.head is None:
        kernel.ready &= ~(u64(1) << level)


@fn
def runnable(thread: Ptr[Thread]) -> bool:
    """Whether a thread has what it takes to run: an address space and a time slice."""
    return thread.space.kind == Kind.SPACE and thread.slice.kind == Kind.SLICE


@fn
def make_ready(thread: Ptr[Thread]) -> None:
    """Ends whatever the thread waited for; its registers hold the outcome."""
    timers.cancel(thread)
    thread.waiting_slot = None
    thread.state = ThreadState.READY
    enqueue(thread, False)


@fn
def take_turn(thread: Ptr[Thread]) -> None:
    """A thread that just got ready goes on in place of the one that just began to wait."""
    dequeue(thread)
    thread.quantum = rest_of_quantum()
    enqueue(thread, thread.quantum != 0)


@fn
def set_level(thread: Ptr[Thread], level: u8) -> None:
    """Changes how urgent a thread is, wherever it is."""
    if thread.level == level:
        return
    queued = thread.state == ThreadState.READY and thread.queue is not None
    if queued:
        dequeue(thread)
    thread.level = level
    if queued:
        enqueue(thread, False)


@fn
def leave() -> None:
    """The current thread waits from now on."""
    some(kernel.current).quantum = 0
    kernel.current = None


@fn
def rest_of_quantum() -> u64:
    """Ticks that the current thread may still run; 0: it has had its turn, and has a new quantum in the next one."""
    time = clock.now()
    return kernel.slice_end - time if kernel.slice_end > time else 0


@fn
def hand_over(thread: Ptr[Thread]) -> None:
    """Makes a thread that waited ready to go on in place of the current one, which waits from now on."""
    thread.quantum = rest_of_quantum()
    leave()
    timers.cancel(thread)
    thread.waiting_slot = None
    thread.state = ThreadState.READY
    enqueue(thread, thread.quantum != 0)


@fn
def _highest() -> u8:
    return trunc(63 - clz(kernel.ready), u8)


@fn
def _dispatch(thread: Ptr[Thread]) -> None:
    dequeue(thread)
    if thread.quantum == 0:
        thread.quantum = slice_at(thread.slice.object).quantum
    kernel.slice_end = clock.now() + thread.quantum
    kernel.current = thread


@fn
def choose() -> None:
    """Makes the most urgent ready thread current; called at the end of every trap."""
    if kernel.ready == 0:
        return
    level = _highest()
    if kernel.current is not None:
        running = some(kernel.current)
        if running.level >= level:
            return
        running.quantum = rest_of_quantum()
        enqueue(running, running.quantum != 0)
    _dispatch(some(kernel.queues[level].head))


@fn
def end_quantum() -> None:
    """The current thread's time is over: the next of its level has its turn."""
    thread = some(kernel.current)
    kernel.current = None
    thread.quantum = 0
    enqueue(thread, False)


@fn
def program_timer() -> None:
    """Sets the timer to what comes first: the end of the quantum, or of a time limit."""
    deadline = timers.first_deadline()
    if kernel.current is not None:
        deadline = min(deadline, kernel.slice_end)
    if deadline != kernel.programmed:
        kernel.programmed = deadline
        machine.set_deadline(deadline)
