"""System calls that look at the machine, its log and the audit ring, and end the run. Each needs its capability.

Texts come in pieces of 56 bytes, in words 1 to 7; word 0 is how long the whole is.
"""

from kernel import log
from kernel.abi import QUICK_WALK, WALK, Error, Facts, Kind
from kernel.boot_info import TEXT_BYTES, BootInfo, Text
from kernel.core import clock, invariants, lookup, machine
from kernel.core.objects import Thread
from kernel.core.state import AUDIT_ENTRIES, INTERRUPTS, kernel
from kernel.lang import *

PIECE = 56
LOG_PIECE = 32


@fn
def sys_audit_read(thread: Ptr[Thread]) -> Error:
    """word0: number of an entry; gives it, or the oldest that is left, or OUT_OF_RANGE when it is still to come.

    word0: its number, word1: time, word2: handle, word3: thread, word4: AuditEvent, word5: Kind, word6: rights, word7:
    Error.
    """
    words = ptr(thread.frame.words)
    if lookup.lookup(thread, thread.frame.handle, Kind.AUDIT, 1) is None:
        return kernel.error
    oldest: u64 = 0
    if kernel.audit_count > AUDIT_ENTRIES:
        oldest = kernel.audit_count - AUDIT_ENTRIES
    number = max(words[0], oldest)
    if number >= kernel.audit_count:
        return Error.OUT_OF_RANGE
    entry = ptr(kernel.audit[number % AUDIT_ENTRIES])
    words[0] = number
    words[1] = entry.time
    words[2] = entry.handle
    words[3] = u64(entry.subject)
    words[4] = u64(entry.event)
    words[5] = u64(entry.kind)
    words[6] = u64(entry.rights)
    words[7] = u64(entry.error)
    return Error.NONE


@fn
def give_text(thread: Ptr[Thread], text: Ptr[Text], offset: u64) -> Error:
    """A piece of a text."""
    words = ptr(thread.frame.words)
    if offset >= TEXT_BYTES:
        return Error.OUT_OF_RANGE
    words[0] = u64(text.length)
    for i in range(1, 8):
        value: u64 = 0
        for j in range(8):
            at = offset + (u64(i) - 1) * 8 + u64(j)
            if at < u64(text.length) and at < TEXT_BYTES:
                value |= u64(text.bytes[at]) << (8 * u64(j))
        words[i] = value
    return Error.NONE


@fn
def give_counts(thread: Ptr[Thread], info: Ptr[BootInfo]) -> Error:
    """word0: time, word1: memory in bytes, word2: timer's Hz, word3: CPUs, word4: threads made so far, word5: audit
    entries so far, word6: waits with a time limit now, word7: ticks without anything to run."""
    words = ptr(thread.frame.words)
    words[0] = clock.now()
    words[1] = info.total_memory
    words[2] = info.timer_hz
    words[3] = u64(info.cpu_count)
    words[4] = kernel.thread_count
    words[5] = kernel.audit_count
    words[6] = kernel.timer_count
    words[7] = kernel.idle_time
    return Error.NONE


@fn
def give_log(thread: Ptr[Thread]) -> Error:
    """word1: number of a line; gives it, or the oldest that is left, or OUT_OF_RANGE when it is still to come. word2:
    offset in it.

    word0: its number, word1: time, word2: length, word3: 1 when the next one goes on with it, words 4..7: 32 bytes.
    """
    words = ptr(thread.frame.words)
    number = max(words[1], log.oldest())
    if number >= log.line_count or words[2] >= log.LINE_BYTES:
        return Error.OUT_OF_RANGE
    line = ptr(log.lines[number % log.LINES])
    offset = words[2]
    words[0] = number
    words[1] = line.time
    words[2] = u64(line.length)
    words[3] = 1 if line.more else 0
    for i in range(4, 8):
        words[i] = 0
    for i in range(LOG_PIECE):
        at = offset + u64(i)
        if at < u64(line.length):
            words[4 + i // 8] |= u64(line.text[at]) << (8 * u64(i % 8))
    return Error.NONE


@fn
def give_invariants(thread: Ptr[Thread]) -> Error:
    """word1: WALK, DEEP_WALK or QUICK_WALK. word0: the first invariant that does not hold, word1: where, word2: slots
    in the tree, word3: objects, word4: threads in queues, word5: waits with a time limit."""
    words = ptr(thread.frame.words)
    if words[1] == QUICK_WALK:
        words[0] = u64(invariants.check_quickly())
    else:
        words[0] = u64(invariants.check(words[1] != WALK))
    words[1] = u64(invariants.walk.where)
    words[2] = invariants.walk.slots
    words[3] = invariants.walk.objects
    words[4] = invariants.walk.members
    words[5] = invariants.walk.timed
    return Error.NONE


@fn
def sys_inspect(thread: Ptr[Thread]) -> Error:
    """word0: which of the Facts, word1: number of the interrupt or the line, or offset in the text. INVARIANTS needs
    EXECUTE too: interrupts wait while it walks all state."""
    words = ptr(thread.frame.words)
    if lookup.lookup(thread, thread.frame.handle, Kind.MACHINE, 1) is None:
        return kernel.error
    if kernel.facts is None or words[0] >= len(Facts):
        return Error.OUT_OF_RANGE
    info = some(kernel.facts)
    match Facts(trunc(words[0], u8)):
        case Facts.COUNTS:
            return give_counts(thread, info)
        case Facts.INTERRUPT:
            if words[1] >= INTERRUPTS:
                return Error.OUT_OF_RANGE
            row = ptr(kernel.interrupts[words[1]])
            words[0] = row.count
            words[2] = 1 if row.pending else 0
            words[3] = 1 if row.binding.kind != Kind.EMPTY else 0
            return Error.NONE
        case Facts.CPU_MODEL:
            return give_text(thread, ptr(info.cpu_model), words[1])
        case Facts.CPU_FEATURES:
            return give_text(thread, ptr(info.cpu_features), words[1])
        case Facts.MACHINE:
            return give_text(thread, ptr(info.machine), words[1])
        case Facts.LOADER:
            return give_text(thread, ptr(info.loader), words[1])
        case Facts.COMMAND_LINE:
            return give_text(thread, ptr(info.command_line), words[1])
        case Facts.LOG:
            return give_log(thread)
        case Facts.INVARIANTS:
            if lookup.lookup(thread, thread.frame.handle, Kind.MACHINE, 5) is None:
                return kernel.error
            return give_invariants(thread)


@fn
def sys_stop(thread: Ptr[Thread]) -> Error:
    """word0: 0 ends the run with the status in word1, 1 starts the machine again."""
    words = ptr(thread.frame.words)
    if lookup.lookup(thread, thread.frame.handle, Kind.MACHINE, 2) is None:
        return kernel.error
    if words[0] > 1 or words[1] > 0xFFFF:
        return Error.OUT_OF_RANGE
    machine.stop(trunc(words[1], u16), words[0] == 1)
    return Error.NONE
