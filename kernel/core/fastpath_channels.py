"""Pages through a channel, when nothing is special about them: see fastpath.py, whose rules hold here too.

The thread that asked goes on: both give it back.
"""

from kernel.abi import AuditEvent, Error, Kind, Option
from kernel.core import audit, capabilities, lookup
from kernel.core.access import channel_at
from kernel.core.fastpath import free_slot, named
from kernel.core.objects import CHANNEL_PLACES, Thread
from kernel.lang import *
from kernel.link import ENTRY_BYTES


@fn(symbol="fast_channel_send", entry=True, stack=ENTRY_BYTES, section=".text.hot.fast_channel_send")
def send(thread: Ptr[Thread]) -> Ptr[Thread] | None:
    """CHANNEL_SEND of a frame that is shared, into a channel with room."""
    option = Option(thread.frame.option)
    found = named(thread, thread.frame.handle, 2)
    granted = named(thread, thread.frame.capability, 8)
    if found is None or granted is None:
        return None
    slot = some(found)
    source = some(granted)
    if slot.kind != Kind.CHANNEL or source.kind != Kind.FRAME or option.move:
        return None
    channel = channel_at(slot.object)
    if channel.count >= CHANNEL_PLACES:
        return None
    entry = ptr(channel.entries[(w32(channel.head) + w32(channel.count)) % CHANNEL_PLACES])
    if entry.slot.generation == 0xFFFF_FFFF:
        return None
    # COMMIT: from here on the page is in the channel.
    capabilities.fill(ptr(entry.slot), source, Kind.FRAME, source.object, source.size, option.rights & source.rights)
    entry.word = thread.frame.words[0]
    channel.count += 1
    channel.shared += 1
    audit.record(AuditEvent.GRANTED, ptr(entry.slot), thread.frame.capability, Error.NONE)
    thread.frame.words[0] = u64(channel.count)
    thread.frame.handle = 0
    return thread


@fn(symbol="fast_channel_receive", entry=True, stack=ENTRY_BYTES, section=".text.hot.fast_channel_receive")
def receive(thread: Ptr[Thread]) -> Ptr[Thread] | None:
    """CHANNEL_RECEIVE of a frame into a place that is empty."""
    words = ptr(thread.frame.words)
    found = named(thread, thread.frame.handle, 1)
    place = free_slot(thread, words[0])
    if found is None or place is None:
        return None
    if some(found).kind != Kind.CHANNEL:
        return None
    channel = channel_at(some(found).object)
    entry = ptr(channel.entries[channel.head % CHANNEL_PLACES])
    source = ptr(entry.slot)
    if channel.count == 0 or source.kind != Kind.FRAME or source.badge != 0:
        return None
    target = some(place)
    # COMMIT: from here on the page is the receiver's.
    channel.head = (channel.head + 1) % CHANNEL_PLACES
    channel.count -= 1
    capabilities.relocate(source, target)
    words[1] = entry.word
    words[4] = u64(channel.count)
    words[2] = u64(target.kind)
    words[3] = u64(target.rights)
    words[0] = lookup.handle_of(target, words[0])
    thread.frame.handle = 0
    return thread


ENTRIES = [send, receive]
