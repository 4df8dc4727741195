"""Interrupts as capabilities: bind one to a notification, acknowledge it. The controller stays masked in between."""

from kernel.abi import Error, Kind
from kernel.core import capabilities, dissolve, lookup, machine, notifications
from kernel.core.access import notification_at
from kernel.core.objects import Thread
from kernel.core.state import INTERRUPTS, kernel
from kernel.lang import *
from kernel.printing import put, put_decimal


@fn
def sys_bind(thread: Ptr[Thread]) -> Error:
    """word0: notification (0: none any more), word1: the bits to set in it; where it has a badge, those. Unmasks."""
    words = ptr(thread.frame.words)
    found = lookup.lookup(thread, thread.frame.handle, Kind.INTERRUPT, 2)
    if found is None:
        return kernel.error
    number = some(found).object
    if number >= INTERRUPTS:
        return Error.OUT_OF_RANGE
    row = ptr(kernel.interrupts[number])
    if words[0] == 0:
        machine.mask_interrupt(u64(number))
        if row.binding.kind != Kind.EMPTY:
            dissolve.empty(ptr(row.binding))
        return Error.NONE
    target = lookup.lookup(thread, words[0], Kind.NOTIFICATION, 2)
    if target is None:
        return kernel.error
    if words[1] == 0:
        return Error.OUT_OF_RANGE
    if some(target).expiry != 0:
        return Error.EXPIRED
    if row.binding.kind != Kind.EMPTY:
        return Error.BUSY
    if row.binding.generation == 0xFFFF_FFFF:
        return Error.LIMIT
    badge = some(target).badge
    error = capabilities.derive(some(target), ptr(row.binding), 2, badge, 0)
    if error != Error.NONE:
        return error
    row.bits = words[1] if badge == 0 else badge
    row.pending = False
    machine.unmask_interrupt(u64(number))
    return Error.NONE


@fn
def sys_acknowledge(thread: Ptr[Thread]) -> Error:
    """The driver is done with the interrupt: the next one may come."""
    found = lookup.lookup(thread, thread.frame.handle, Kind.INTERRUPT, 2)
    if found is None:
        return kernel.error
    number = some(found).object
    if number >= INTERRUPTS:
        return Error.OUT_OF_RANGE
    row = ptr(kernel.interrupts[number])
    if row.pending:
        row.pending = False
        machine.unmask_interrupt(u64(number))
    return Error.NONE


@fn
def arrived(number: u64) -> None:
    """An interrupt has come: it is masked, and whoever bound it is told. One that nobody bound stays masked."""
    if number >= INTERRUPTS:
        return
    machine.mask_interrupt(number)
    row = ptr(kernel.interrupts[number])
    row.count += 1
    row.pending = True
    if row.binding.kind == Kind.NOTIFICATION:
        notifications.signal(notification_at(row.binding.object), row.bits)
    else:
        put("interrupt ")
        put_decimal(number)
        put(" is nobody's: it stays masked\n")
