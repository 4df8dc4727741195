"""Notifications: a word of bits. Setting them never waits; waiting takes all that are set."""

from kernel.abi import Error, Kind, ThreadState
from kernel.core import ipc, lookup, queues, waiters
from kernel.core.access import notification_at
from kernel.core.objects import Notification, Thread
from kernel.core.state import kernel
from kernel.lang import *


@fn
def signal(notification: Ptr[Notification], bits: u64) -> None:
    """Sets bits, and hands all to the first waiter whose capability is alive."""
    notification.bits |= bits
    waiters.give(notification)


@fn
def sys_notify(thread: Ptr[Thread]) -> Error:
    """Sets the bits of word0, or those of the capability's badge where it has one: a badge says who."""
    slot = lookup.lookup(thread, thread.frame.handle, Kind.NOTIFICATION, 2)
    if slot is None:
        return kernel.error
    badge = some(slot).badge
    signal(notification_at(some(slot).object), thread.frame.words[0] if badge == 0 else badge)
    return Error.NONE


@fn
def sys_wait(thread: Ptr[Thread]) -> Error:
    """Takes the bits into word0, waiting for the first one."""
    slot = lookup.lookup(thread, thread.frame.handle, Kind.NOTIFICATION, 1)
    if slot is None:
        return kernel.error
    notification = notification_at(some(slot).object)
    if notification.bits != 0:
        thread.frame.words[0] = notification.bits
        notification.bits = 0
        return Error.NONE
    if thread.frame.timeout == 0:
        return Error.TIMED_OUT
    error = ipc.wait_on(thread, some(slot), ThreadState.WAITING)
    if error == ipc.WAITS:
        queues.append(ptr(notification.queue), thread)
    return error
