"""Channels: a ring of capabilities, each with a word, on their way from one table to another.

What is sent is mostly pages: derived, both sides see them (zero-copy sharing); moved, the sender's capability is gone,
mapping and all. Nobody waits in the kernel: a sender of a full channel and a receiver of an empty one are told, and
wait on a notification of their own choice.
"""

from kernel.abi import AuditEvent, Error, Kind, Option
from kernel.core import audit, capabilities, ipc, lookup
from kernel.core.access import channel_at
from kernel.core.objects import CHANNEL_PLACES, Thread
from kernel.core.state import kernel
from kernel.lang import *


@fn
def sys_send(thread: Ptr[Thread]) -> Error:
    """Puts the capability of the capability register and word0 into the channel; option says how, as for messages."""
    found = lookup.lookup(thread, thread.frame.handle, Kind.CHANNEL, 2)
    if found is None:
        return kernel.error
    channel = channel_at(some(found).object)
    source = lookup.find(thread, thread.frame.capability)
    if source is None:
        return kernel.error
    given = some(source)
    if given.rights & 8 == 0 or holds_itself(given.kind):
        audit.denied(thread.frame.capability, Error.DENIED)
        return Error.DENIED
    if channel.count == CHANNEL_PLACES:
        return Error.FULL
    entry = ptr(channel.entries[(channel.head + channel.count) % CHANNEL_PLACES])
    if entry.slot.generation == 0xFFFF_FFFF:
        return Error.LIMIT
    option = Option(thread.frame.option)
    if option.move:
        capabilities.move(given, ptr(entry.slot))
        channel.moved += 1
    else:
        rights = option.rights & given.rights
        error = capabilities.derive(given, ptr(entry.slot), rights, ipc.source_badge(given), given.expiry)
        if error != Error.NONE:
            audit.denied(thread.frame.capability, error)
            return error
        channel.shared += 1
    entry.word = thread.frame.words[0]
    channel.count += 1
    audit.record(AuditEvent.GRANTED, ptr(entry.slot), thread.frame.capability, Error.NONE)
    thread.frame.words[0] = u64(channel.count)
    return Error.NONE


@fn
def holds_itself(kind: Kind) -> bool:
    """A channel in a channel could hold itself alive for ever; so could a table with the channel in it."""
    return kind == Kind.CHANNEL or kind == Kind.TABLE or kind == Kind.THREAD


@fn
def sys_receive(thread: Ptr[Thread]) -> Error:
    """Moves the first capability into slot word0 of the own table. One that was revoked on its way gives REVOKED.

    Gives its handle in word0, the word in word1, the kind in word2, the rights in word3, how many are left in word4.
    """
    words = ptr(thread.frame.words)
    found = lookup.lookup(thread, thread.frame.handle, Kind.CHANNEL, 1)
    if found is None:
        return kernel.error
    channel = channel_at(some(found).object)
    if channel.count == 0:
        return Error.TIMED_OUT
    index = words[0]
    target = lookup.destination(thread, 0, index)
    if target is None:
        return kernel.error
    slot = some(target)
    entry = ptr(channel.entries[channel.head % CHANNEL_PLACES])
    channel.head = (channel.head + 1) % CHANNEL_PLACES
    channel.count -= 1
    words[1] = entry.word
    words[4] = u64(channel.count)
    if entry.slot.kind == Kind.EMPTY:
        words[0] = 0
        return Error.REVOKED
    capabilities.move(ptr(entry.slot), slot)
    words[0] = lookup.handle_of(slot, index)
    words[2] = u64(slot.kind)
    words[3] = u64(slot.rights)
    return Error.NONE


@fn
def sys_inspect(thread: Ptr[Thread]) -> Error:
    """word0, word1 and the handle name a slot as for INSPECT; the capability in it is to a channel.

    Gives word0: the channel's number, word1: how many capabilities are in it, word2: how many were shared through it so
    far, word3: how many were moved, word4: how many capabilities there are to it, word5: rights of this one.
    """
    words = ptr(thread.frame.words)
    slot = lookup.inspected(thread)
    if slot is None:
        return kernel.error
    found = some(slot)
    if found.kind != Kind.CHANNEL:
        return Error.WRONG_KIND
    channel = channel_at(found.object)
    words[0] = channel.identifier
    words[1] = u64(channel.count)
    words[2] = channel.shared
    words[3] = channel.moved
    words[4] = u64(channel.header.references)
    words[5] = u64(found.rights)
    return Error.NONE
