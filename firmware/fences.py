"""RFENCE (SBI 2.0 chapter 8), and how one hart makes others do something.

A hart that asks writes its request into its own record, marks itself in every target's `askers`, raises their software
interrupts, and waits until all have taken themselves out of `waiting`. It serves requests of others meanwhile, so two
harts that ask each other both get on. A stopped or suspended hart serves them too, from where it waits.
"""

from firmware import state
from firmware.sbi import Error, Fence
from kernel.arch.riscv64.machine_mode import instructions, memory
from kernel.lang import *

PAGE = 4096
MOST_PAGES = 64
"""Above this a range is fenced as a whole: one instruction instead of many."""

ALL = (1 << 64) - 1
PATIENCE = 1 << 36
"""Rounds of waiting until a hart that does not answer is a panic: minutes."""


@fn
def raise_software_interrupt(hart: u64) -> None:
    instructions.fence_devices()
    memory.timer().msip[hart].write(pending=True)


@fn
def perform(kind: u64, first: u64, bytes: u64, space: u64) -> None:
    """Does a fence on this hart."""
    if kind == Fence.INSTRUCTIONS:
        instructions.fence_instructions()
        return
    of_space = kind == Fence.TRANSLATIONS_OF_SPACE
    if bytes == ALL or (first == 0 and bytes == 0) or bytes > MOST_PAGES * PAGE:
        if of_space:
            instructions.fence_space(space)
        else:
            instructions.fence_all_translations()
        return
    page = first & ~u64(PAGE - 1)
    while bounded(page - first < bytes if page > first else bytes != 0, MOST_PAGES + 1):
        if of_space:
            instructions.fence_translation_of(page, space)
        else:
            instructions.fence_translation(page)
        if page > ALL - PAGE:
            break
        page += PAGE


@fn
def serve(me: u64) -> None:
    """Does the fences that other harts wait for."""
    own = ptr(state.harts[me])
    askers = instructions.atomic_swap(ptr(own.askers), 0)
    while bounded(askers != 0, 64):
        asker = ctz(askers)
        request = ptr(state.harts[asker])
        perform(request.kind, request.first, request.bytes, request.space)
        _ = instructions.atomic_and(ptr(request.waiting), ~(u64(1) << me))
        askers &= askers - 1


@fn
def remote(me: u64, targets: u64, kind: u64, first: u64, bytes: u64, space: u64) -> u64:
    """Makes all `targets` do a fence; they have when it returns."""
    if kind != Fence.INSTRUCTIONS and bytes != ALL and bytes > ~first:
        return Error.INVALID_ADDRESS
    own = ptr(state.harts[me])
    others = targets & ~(u64(1) << me)
    own.kind = kind
    own.first = first
    own.bytes = bytes
    own.space = space
    _ = instructions.atomic_swap(ptr(own.waiting), others)
    rest = others
    while bounded(rest != 0, 64):
        hart = ctz(rest)
        _ = instructions.atomic_or(ptr(state.harts[hart].askers), u64(1) << me)
        raise_software_interrupt(hart)
        rest &= rest - 1
    if targets >> me & 1 != 0:
        perform(kind, first, bytes, space)
    while bounded(read_volatile(ptr(own.waiting)) != 0, PATIENCE):
        serve(me)
    instructions.fence_memory()
    return Error.SUCCESS
