"""Channels: pages that are shared or moved by capability, in order, and what is left when a side ends."""

from kernel.abi import Error, Kind, SystemCall
from kernel.core.objects import CHANNEL_PLACES
from tests.kernel.core.machine import Actor, KernelUnderTest
from tests.kernel.core.test_spaces import PAGE, World

SEND, RECEIVE = SystemCall.CHANNEL_SEND, SystemCall.CHANNEL_RECEIVE
MOVE = 1 << 8


class Pair:
    """Two threads with a channel between them; `frames` are the first one's."""

    def __init__(self) -> None:
        self.kernel = kernel = KernelUnderTest(19)
        self.a: Actor = kernel.actor("a", 5)
        self.b: Actor = kernel.actor("b", 5)
        self.channel = kernel.make(Kind.CHANNEL)
        self.out = kernel.give(self.channel, self.a.handles[Kind.TABLE], 1, 2 | 8)
        self.into = kernel.give(self.channel, self.b.handles[Kind.TABLE], 1, 1)
        self.frames = []
        for slot in range(10, 10 + CHANNEL_PLACES + 1):
            frame = kernel.make(Kind.FRAME, 12)
            assert kernel.do(kernel.boot, SystemCall.MOVE, frame, self.a.handles[Kind.TABLE], slot) == Error.NONE
            self.frames.append(kernel.boot.word(0))


def test_pages_come_out_in_the_order_they_went_in_with_their_words_and_rights():
    pair = Pair()
    kernel = pair.kernel
    for n in range(CHANNEL_PLACES):
        assert kernel.do(pair.a, SEND, pair.out, 100 + n, capability=pair.frames[n], option=1) == Error.NONE
    assert kernel.do(pair.a, SEND, pair.out, 1, capability=pair.frames[-1], option=1) == Error.FULL
    for n in range(CHANNEL_PLACES):
        assert kernel.do(pair.b, RECEIVE, pair.into, 8 + n) == Error.NONE
        assert [pair.b.word(i) for i in (1, 2, 3, 4)] == [100 + n, Kind.FRAME, 1, CHANNEL_PLACES - 1 - n]
    assert kernel.do(pair.b, RECEIVE, pair.into, 30) == Error.TIMED_OUT


def test_a_shared_page_stays_with_the_sender_and_dies_with_a_revocation():
    pair = Pair()
    kernel = pair.kernel
    assert kernel.do(pair.a, SEND, pair.out, 5, capability=pair.frames[0], option=3) == Error.NONE
    assert kernel.do(pair.b, RECEIVE, pair.into, 8) == Error.NONE
    got = pair.b.word(0)
    assert kernel.do(pair.a, SystemCall.INSPECT, pair.frames[0]) == Error.NONE
    assert kernel.do(pair.b, SystemCall.INSPECT, got) == Error.NONE
    assert kernel.do(pair.a, SystemCall.REVOKE, pair.frames[0]) == Error.NONE
    assert kernel.do(pair.b, SystemCall.INSPECT, got) == Error.INVALID_HANDLE


def test_a_page_revoked_on_its_way_does_not_arrive():
    pair = Pair()
    kernel = pair.kernel
    assert kernel.do(pair.a, SEND, pair.out, 5, capability=pair.frames[0], option=3) == Error.NONE
    assert kernel.do(pair.a, SEND, pair.out, 6, capability=pair.frames[1], option=3) == Error.NONE
    assert kernel.do(pair.a, SystemCall.REVOKE, pair.frames[0]) == Error.NONE
    assert kernel.do(pair.b, RECEIVE, pair.into, 8) == Error.REVOKED
    assert kernel.do(pair.b, RECEIVE, pair.into, 8) == Error.NONE and pair.b.word(1) == 6


def test_a_moved_page_is_gone_from_the_sender_with_its_mapping():
    world = World()
    kernel = world.kernel
    channel, frame = kernel.make(Kind.CHANNEL), kernel.make(Kind.FRAME, 12)
    assert world.do(SystemCall.MAP, frame, world.space, world.at, 3) == Error.NONE
    assert kernel.do(kernel.boot, SEND, channel, 7, capability=frame, option=MOVE) == Error.NONE
    assert world.translate(world.space, world.at) is None
    assert kernel.do(kernel.boot, SystemCall.INSPECT, frame) == Error.INVALID_HANDLE
    assert kernel.do(kernel.boot, RECEIVE, channel, 95) == Error.NONE
    assert world.do(SystemCall.MAP, kernel.boot.word(0), world.space, world.at + PAGE, 3) == Error.NONE


def test_sides_that_lack_the_right_and_capabilities_that_may_not_be_given_are_refused():
    pair = Pair()
    kernel = pair.kernel
    assert kernel.do(pair.b, SEND, pair.into, 5, capability=pair.into) == Error.DENIED
    assert kernel.do(pair.a, RECEIVE, pair.out, 20) == Error.DENIED
    assert kernel.do(pair.a, SystemCall.DERIVE, pair.frames[0], 0, 25, 3) == Error.NONE
    ungrantable = pair.a.word(0)
    assert kernel.do(pair.a, SEND, pair.out, 5, capability=ungrantable, option=3) == Error.DENIED
    assert kernel.do(pair.a, SEND, pair.out, 5, capability=pair.out, option=3) == Error.DENIED
    assert kernel.do(pair.a, SEND, pair.out, 5, capability=0) == Error.INVALID_HANDLE


def test_the_end_of_a_channel_ends_what_is_in_it():
    pair = Pair()
    kernel = pair.kernel
    assert kernel.do(pair.a, SEND, pair.out, 5, capability=pair.frames[0], option=MOVE) == Error.NONE
    before = len(list(kernel.tree()))
    assert kernel.do(kernel.boot, SystemCall.REVOKE, pair.channel) == Error.NONE
    assert kernel.do(kernel.boot, SystemCall.DELETE, pair.channel) == Error.NONE
    assert len(list(kernel.tree())) == before - 4  # three capabilities to the channel, one page


def test_who_may_look_sees_what_went_through_a_channel():
    """By the own handle, by a table that may be read, and by a table in that one."""
    pair = Pair()
    kernel = pair.kernel
    look = SystemCall.CHANNEL_INSPECT
    other = kernel.make(Kind.CHANNEL)
    for frame, option in zip(pair.frames[:3], (3, MOVE, MOVE), strict=True):
        assert kernel.do(pair.a, SEND, pair.out, 0, capability=frame, option=option) == Error.NONE
    assert kernel.do(pair.b, RECEIVE, pair.into, 8) == Error.NONE
    assert kernel.do(pair.b, look, pair.into) == Error.NONE
    seen = [pair.b.word(i) for i in range(6)]
    assert seen == [1, 2, 1, 2, 3, 1], "number, waiting, shared, moved, capabilities to it, rights"
    assert kernel.do(kernel.boot, look, 1, pair.b.handles[Kind.TABLE]) == Error.NONE
    assert [kernel.boot.word(i) for i in range(6)] == seen
    assert kernel.do(kernel.boot, look, 1, 0, 1 + (pair.b.handles[Kind.TABLE] & 0xFFFF)) == Error.NONE
    assert [kernel.boot.word(i) for i in range(6)] == seen
    assert kernel.do(kernel.boot, look, other) == Error.NONE and kernel.boot.word(0) == 2
    assert kernel.do(kernel.boot, look, pair.a.handles[Kind.TABLE]) == Error.WRONG_KIND
    assert kernel.do(kernel.boot, look, 1, 0, 1 + (pair.channel & 0xFFFF)) == Error.DENIED, "not a table"
    assert kernel.do(kernel.boot, look, pair.channel, 0, 1 + 300) == Error.INVALID_HANDLE, "an empty slot"
    kernel.give(pair.b.handles[Kind.TABLE], pair.b.handles[Kind.TABLE], 9)
    assert kernel.do(pair.b, look, 1, 0, 1 + 9) == Error.OUT_OF_RANGE, "a table in itself"
    blind = kernel.give(pair.b.handles[Kind.TABLE], 0, 200, 2)
    assert kernel.do(kernel.boot, look, 1, blind) == Error.DENIED
    assert kernel.do(kernel.boot, look, 1, 0, 1 + (blind & 0xFFFF)) == Error.DENIED, "a table that may not be read"
