"""What ends a thread's wait or its life: both cut every tie it has to others."""

from kernel.abi import Error, ThreadState
from kernel.core import inheritance, queues, scheduler, timers
from kernel.core.objects import Thread
from kernel.core.state import kernel
from kernel.lang import *


@fn
def wake(thread: Ptr[Thread], status: Error) -> None:
    """Ends the thread's wait with a status."""
    thread.frame.handle = u64(status)
    if status != Error.NONE:
        thread.frame.capability = 0
    thread.calling = False
    scheduler.make_ready(thread)


@fn
def wake_waiter(thread: Ptr[Thread], status: Error) -> None:
    """Wakes a thread that was just taken out of an endpoint's or notification's queue without being served.

    One that queues there with news of its own fault is not waiting for an answer: nobody hears of it, it stays faulted.
    """
    if thread.state == ThreadState.FAULTED:
        thread.waiting_slot = None
    else:
        wake(thread, status)


@fn
def drop_caller(thread: Ptr[Thread]) -> None:
    """Ends the call that the thread has received and not answered."""
    if thread.caller is not None:
        caller = some(thread.caller)
        thread.caller = None
        caller.server = None
        wake(caller, Error.PEER_GONE)
        inheritance.answered(thread)


@fn
def leave_wait(thread: Ptr[Thread]) -> None:
    """Takes a thread out of what it waits in; its state is the caller's to set."""
    timers.cancel(thread)
    if thread.queue is not None:
        if thread.state == ThreadState.READY:
            scheduler.dequeue(thread)
        else:
            queue = some(thread.queue)
            queues.take(queue, thread)
            inheritance.left(thread, queue)
    if thread.server is not None:
        server = some(thread.server)
        thread.server = None
        server.caller = None
        inheritance.answered(server)
    thread.waiting_slot = None
    thread.calling = False


@fn
def stop(thread: Ptr[Thread]) -> None:
    """Stops a thread, whatever it is doing. It keeps its capabilities and can be started again."""
    if kernel.current == thread:
        kernel.current = None
    leave_wait(thread)
    thread.state = ThreadState.STOPPED
    drop_caller(thread)
    inheritance.stop_serving(thread)


@fn
def cancel_wait(thread: Ptr[Thread], status: Error) -> None:
    """Ends the wait of a thread that waits; others are left alone."""
    match thread.state:
        case (
            ThreadState.SENDING
            | ThreadState.CALLING
            | ThreadState.RECEIVING
            | ThreadState.WAITING
            | ThreadState.SLEEPING
        ):
            leave_wait(thread)
            wake(thread, status)
        case ThreadState.STOPPED | ThreadState.READY | ThreadState.FAULTED:
            pass
