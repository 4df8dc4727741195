"""System calls one by one: what they give, and whom they refuse."""

import ctypes

import pytest

from kernel.abi import AuditEvent, Error, Facts, Kind, SystemCall, ThreadState
from kernel.boot_info import BootInfo
from kernel.core import boot, machine, state
from kernel.core.state import InterruptRow
from kernel.lang import host
from tests.kernel.core.machine import NEVER, SLOT, STATE, KernelUnderTest


def given(kernel: KernelUnderTest, kind: Kind, rights: int = 31) -> int:
    """A capability to something that the machine has."""
    index, kernel.next_slot = kernel.next_slot, kernel.next_slot + 1
    return boot.add(index, kind, 0, 0, rights)


def test_the_table_of_another_can_be_looked_into_with_a_capability_that_reads():
    kernel = KernelUnderTest()
    other = kernel.make(Kind.TABLE, 3)
    endpoint = kernel.make(Kind.ENDPOINT)
    handle = kernel.give(endpoint, other, 5, rights=3, badge=9)
    assert kernel.do(kernel.boot, SystemCall.INSPECT, 5, other) == Error.NONE
    assert [kernel.boot.word(i) for i in (0, 1, 2, 7)] == [Kind.ENDPOINT, 3, 9, handle]
    assert kernel.do(kernel.boot, SystemCall.INSPECT, 4, other) == Error.INVALID_HANDLE
    assert kernel.do(kernel.boot, SystemCall.DERIVE, other, 0, 99, 2) == Error.NONE
    assert kernel.do(kernel.boot, SystemCall.INSPECT, 5, kernel.boot.word(0)) == Error.DENIED


def test_threads_are_looked_at_by_their_capability_by_a_table_that_may_be_read_or_by_a_table_in_that():
    kernel = KernelUnderTest()
    look, words = SystemCall.THREAD_INSPECT, lambda actor: [actor.word(i) for i in range(8)]
    holder, other = kernel.actor("holder", 4), kernel.actor("other", 4, (1, 5))
    table = holder.handles[Kind.TABLE]
    thread = kernel.give(other.handles[Kind.THREAD], table, 3, rights=4)
    assert kernel.do(kernel.boot, look, other.handles[Kind.THREAD]) == Error.NONE
    seen = words(kernel.boot)
    assert seen[:3] == [ThreadState.STOPPED, 21, 21] and seen[5] == 2, "state, level, base level, number"
    assert kernel.do(kernel.boot, look, thread & 0xFFFF, table) == Error.NONE and words(kernel.boot) == seen
    assert kernel.do(kernel.boot, look, 3, 0, 1 + (table & 0xFFFF)) == Error.NONE and words(kernel.boot) == seen
    assert kernel.do(holder, look, thread) == Error.DENIED, "by the capability itself it takes READ"
    assert kernel.do(kernel.boot, look, 4, table) == Error.INVALID_HANDLE, "an empty slot"
    kernel.give(kernel.make(Kind.FRAME, 12), table, 4)
    assert kernel.do(kernel.boot, look, 4, table) == Error.WRONG_KIND
    assert kernel.do(kernel.boot, look, 3, kernel.give(table, 0, 200, 2)) == Error.DENIED
    assert kernel.do(kernel.boot, look, 3, 0, 1 + 200) == Error.DENIED, "a table that may not be read"


def test_an_untyped_says_how_much_of_it_is_used():
    kernel = KernelUnderTest()
    kernel.make(Kind.FRAME, 12)
    assert kernel.do(kernel.boot, SystemCall.INSPECT, kernel.untyped) == Error.NONE
    assert kernel.boot.word(4) == kernel.bits and kernel.boot.word(2) == 4096
    assert kernel.do(kernel.boot, SystemCall.REVOKE, kernel.untyped) == Error.NONE
    assert kernel.do(kernel.boot, SystemCall.INSPECT, kernel.untyped) == Error.NONE
    assert kernel.boot.word(2) == 0


def test_the_audit_ring_tells_what_was_refused_and_keeps_the_last_entries():
    kernel = KernelUnderTest()
    audit = given(kernel, Kind.AUDIT)
    assert kernel.do(kernel.boot, SystemCall.RETYPE, 77 << 32 | 3) == Error.INVALID_HANDLE
    number = state.kernel.value.audit_count - 1
    assert kernel.do(kernel.boot, SystemCall.AUDIT_READ, audit, number) == Error.NONE
    words = [kernel.boot.word(i) for i in range(8)]
    assert words[0] == number and words[2] == 77 << 32 | 3
    assert words[4] == AuditEvent.DENIED and words[7] == Error.INVALID_HANDLE
    assert kernel.do(kernel.boot, SystemCall.AUDIT_READ, audit, number + 1) == Error.OUT_OF_RANGE
    for _ in range(state.AUDIT_ENTRIES + 5):
        kernel.do(kernel.boot, SystemCall.REVOKE, 5 << 32)
    assert kernel.do(kernel.boot, SystemCall.AUDIT_READ, audit, 0) == Error.NONE
    assert kernel.boot.word(0) == state.kernel.value.audit_count - state.AUDIT_ENTRIES


def test_the_machine_is_looked_at_and_stopped_with_its_capability_only():
    kernel = KernelUnderTest()
    info = host(BootInfo)
    info.total_memory, info.timer_hz, info.cpu_count = 1 << 27, 10_000_000, 1
    text = b"rv64imac_zicsr"
    info.cpu_features.length = len(text)
    for i, byte in enumerate(text):
        info.cpu_features.bytes[i] = byte
    state.kernel.value.facts = info
    whole, blind = given(kernel, Kind.MACHINE), given(kernel, Kind.MACHINE, 0)
    assert kernel.do(kernel.boot, SystemCall.MACHINE_INSPECT, blind, Facts.COUNTS) == Error.DENIED
    assert kernel.do(kernel.boot, SystemCall.MACHINE_INSPECT, whole, Facts.COUNTS) == Error.NONE
    assert [kernel.boot.word(i) for i in (0, 1, 2, 3)] == [machine.host_time.value, 1 << 27, 10_000_000, 1]
    assert kernel.do(kernel.boot, SystemCall.MACHINE_INSPECT, whole, Facts.CPU_FEATURES, 4) == Error.NONE
    piece = b"".join(kernel.boot.word(i).to_bytes(8, "little") for i in range(1, 8))
    assert kernel.boot.word(0) == len(text) and piece.rstrip(b"\0") == text[4:]
    assert kernel.do(kernel.boot, SystemCall.MACHINE_INSPECT, whole, len(Facts)) == Error.OUT_OF_RANGE
    machine.host_stopped.value = 0
    assert kernel.do(kernel.boot, SystemCall.MACHINE_STOP, blind, 0, 3) == Error.DENIED
    assert machine.host_stopped.value == 0
    assert kernel.do(kernel.boot, SystemCall.MACHINE_STOP, whole, 0, 3) == Error.NONE
    assert machine.host_stopped.value == 4


def test_a_slice_is_raised_only_by_showing_one_that_is_as_high():
    kernel = KernelUnderTest()
    low, high, fresh = (kernel.make(Kind.SLICE) for _ in range(3))
    kernel.raise_slice(kernel.slot(high)["object"], (1, 5))
    configure = SystemCall.SLICE_CONFIGURE
    assert kernel.do(kernel.boot, configure, fresh, 1, 5, 100_000, low) == Error.DENIED
    assert kernel.do(kernel.boot, configure, fresh, 1, 6, 100_000, high) == Error.DENIED
    assert kernel.do(kernel.boot, configure, fresh, 1, 5, 100_000, high) == Error.NONE
    assert kernel.do(kernel.boot, configure, fresh, 1, 32, 100_000, high) == Error.OUT_OF_RANGE
    assert kernel.do(kernel.boot, configure, fresh, 3, 0, 100_000, high) == Error.OUT_OF_RANGE
    assert kernel.do(kernel.boot, configure, fresh, 0, 0, 0, high) == Error.OUT_OF_RANGE


def test_an_interrupt_goes_to_who_bound_it_and_stays_masked_until_it_is_acknowledged():
    from kernel.core import interrupts

    kernel = KernelUnderTest()
    bell = kernel.make(Kind.NOTIFICATION)
    boot.add(100, Kind.INTERRUPT, 10, 0, 31)
    line = boot.handle_at(100)
    assert kernel.do(kernel.boot, SystemCall.INTERRUPT_BIND, line, bell, 4) == Error.NONE
    assert not machine.host_masked.value[10]
    interrupts.arrived(10)
    assert machine.host_masked.value[10]
    assert kernel.do(kernel.boot, SystemCall.WAIT, bell, timeout=0) == Error.NONE and kernel.boot.word(0) == 4
    assert kernel.do(kernel.boot, SystemCall.INTERRUPT_ACKNOWLEDGE, line) == Error.NONE
    assert not machine.host_masked.value[10]
    assert kernel.do(kernel.boot, SystemCall.REVOKE, bell) == Error.NONE
    interrupts.arrived(10)
    assert kernel.do(kernel.boot, SystemCall.WAIT, bell, timeout=0) == Error.TIMED_OUT


def test_the_documentation_names_every_system_call():
    from kernel.lang.errors import ROOT

    text = (ROOT / "docs" / "kernel.md").read_text()
    assert [call.name for call in SystemCall if call.name not in text] == []


def test_a_revocation_that_ends_its_own_capability_does_not_claim_to_be_complete():
    """The table that the capability is in lies in the memory that it revokes, and goes before an endpoint does."""
    kernel = KernelUnderTest()
    memory = kernel.make(Kind.UNTYPED, 16)
    made = []
    for kind, bits in ((Kind.ENDPOINT, 0), (Kind.TABLE, 4)):
        index, kernel.next_slot = kernel.next_slot, kernel.next_slot + 1
        assert kernel.do(kernel.boot, SystemCall.RETYPE, memory, 0, index, kind, bits) == Error.NONE
        made.append(kernel.boot.word(0))
    endpoint, table = made
    actor = kernel.actor("in its own memory")
    assert kernel.do(kernel.boot, SystemCall.THREAD_STOP, actor.handles[Kind.THREAD]) == Error.NONE
    keep = 2**64 - 1
    assert kernel.do(kernel.boot, SystemCall.THREAD_CONFIGURE, actor.handles[Kind.THREAD],
                     table, keep, keep, keep) == Error.NONE  # fmt: skip
    assert kernel.do(kernel.boot, SystemCall.MOVE, memory, table, 3) == Error.NONE
    error = kernel.do(actor, SystemCall.REVOKE, kernel.boot.word(0))
    assert kernel.slot(endpoint)["kind"] == Kind.ENDPOINT
    assert error == Error.REVOKED


@pytest.mark.parametrize("kind", [Kind.TABLE, Kind.SPACE, Kind.SLICE])
def test_a_thread_lives_only_by_what_its_maker_may_have_it_live_by(kind):
    """To look into a table, to map pages into a space, to raise others' slices is less than to act with them."""
    kernel = KernelUnderTest()
    actor = kernel.actor("a")
    places = [Kind.TABLE, Kind.SPACE, None, Kind.SLICE]
    for rights in range(32):
        weak = kernel.next_slot
        assert kernel.do(kernel.boot, SystemCall.DERIVE, actor.handles[kind], 0, weak, rights) == Error.NONE
        handle = kernel.boot.word(0)
        words = [handle if place == kind else NEVER for place in places]
        error = kernel.do(kernel.boot, SystemCall.THREAD_CONFIGURE, actor.handles[Kind.THREAD], *words)
        assert error == (Error.NONE if rights & 4 else Error.DENIED), rights
        assert kernel.do(kernel.boot, SystemCall.DELETE, handle) == Error.NONE
    endpoint = kernel.make(Kind.ENDPOINT)
    for rights in (1, 2):
        weak = kernel.next_slot
        assert kernel.do(kernel.boot, SystemCall.DERIVE, endpoint, 0, weak + rights, rights) == Error.NONE
        words = (NEVER, NEVER, kernel.boot.word(0), NEVER)
        error = kernel.do(kernel.boot, SystemCall.THREAD_CONFIGURE, actor.handles[Kind.THREAD], *words)
        assert error == (Error.NONE if rights & 2 else Error.DENIED)


def test_an_interrupt_sets_the_bits_of_the_badge_where_there_is_one():
    """Whose capability says which bits it may set does not set others by an interrupt."""
    from kernel.core import interrupts

    kernel = KernelUnderTest()
    bell = kernel.make(Kind.NOTIFICATION)
    assert kernel.do(kernel.boot, SystemCall.DERIVE, bell, 0, 90, 3, 8) == Error.NONE
    badged = kernel.boot.word(0)
    boot.add(100, Kind.INTERRUPT, 10, 0, 31)
    line = boot.handle_at(100)
    assert kernel.do(kernel.boot, SystemCall.INTERRUPT_BIND, line, badged, 0xF7) == Error.NONE
    interrupts.arrived(10)
    assert kernel.do(kernel.boot, SystemCall.WAIT, bell, timeout=0) == Error.NONE and kernel.boot.word(0) == 8


def test_an_interrupt_that_was_bound_too_often_is_an_error():
    """The place that binds it counts its lives, as slots do."""
    kernel = KernelUnderTest()
    bell = kernel.make(Kind.NOTIFICATION)
    boot.add(100, Kind.INTERRUPT, 10, 0, 31)
    line = boot.handle_at(100)
    row = STATE["interrupts"] + 10 * InterruptRow.size  # type: ignore[attr-defined]
    place = kernel.state_address + row + InterruptRow.fields["binding"].offset + SLOT["generation"]  # type: ignore[attr-defined]
    ctypes.memmove(place, (0xFFFF_FFFE).to_bytes(4, "little"), 4)
    for error in (Error.NONE, Error.LIMIT):
        assert kernel.do(kernel.boot, SystemCall.INTERRUPT_BIND, line, bell, 4) == error
        assert kernel.do(kernel.boot, SystemCall.INTERRUPT_BIND, line, 0, 0) == Error.NONE
