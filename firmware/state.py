"""What the firmware keeps: facts of the machine, and one record a hart. All of it is in .bss.

A field of `Hart` that other harts write is touched by atomic instructions only, or by its owner before it is announced
(`online`, an event, a state); the comment names the writer.
"""

from firmware.device_tree import Facts
from kernel.arch.riscv64.machine_mode import entry
from kernel.lang import *


@struct
class Hart:
    """One hart.

    state      HSM state; changed by compare-and-swap only
    start      where it starts or resumes in S-mode, and `opaque` what it gets in a1: written by who starts it, before
               the state says START_PENDING
    events     what others want of it: bits of Event, set by others, taken by itself
    askers     harts that wait for a fence of this one: bits set by others, taken by itself
    kind, first, bytes, space   the fence that this hart asks for: written by itself before it sets a bit in `askers`
    waiting    harts that have yet to do it: bits cleared by them
    """

    state: u64
    start: u64
    opaque: u64
    events: u64
    askers: u64
    kind: u64
    first: u64
    bytes: u64
    space: u64
    waiting: u64


harts = variable(Array[Hart, entry.MAX_HARTS])
online = variable(u64, 0)
"""Harts whose firmware runs (bit a hart): set once by each."""

booted = variable(u64, 0, section=".data")
"""1 when the first hart has read the tree: the others wait for it. In .data: they look before .bss is cleared."""

facts = variable(Facts)
has_sstc = variable(bool, False)
image_start = external(u8, "image_start")
image_end = external(u8, "image_end")
region_bytes = variable(u64, 0)
"""The firmware's protected region: a power of two from image_start on."""


@fn
def start_address() -> u64:
    return u64(address_of(ptr(image_start)))


@fn
def is_supervisor_memory(address: u64, length: u64) -> bool:
    """Whether `length` bytes are RAM that S-mode may use: in one range of the tree, and not the firmware's."""
    own = start_address()
    if length > ~address:
        return False
    if length != 0 and address < own + region_bytes and own < address + length:
        return False
    for i in bounded(range(facts.range_count), 8):
        ram = ptr(facts.ranges[i])
        if address >= ram.base and address - ram.base < ram.size and length <= ram.size - (address - ram.base):
            return True
    return False
