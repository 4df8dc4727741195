"""Levels, after each step of random programs: each thread has the highest of its own and of all who wait for it, which
is computed here from who waits for whom; also around circles, in chains and at endpoints with many servers.
"""

import os

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from kernel.abi import Error, Kind, SystemCall, ThreadState
from kernel.core import fastpath, inheritance, machine, system_calls
from tests.kernel.core.machine import NEVER, STATE, THREAD, Actor, _word
from tests.kernel.core.test_peers import BACKGROUND, INTERACTIVE, LEVEL, REAL_TIME, World

EXAMPLES = int(os.environ.get("KERNEL_CORE_EXAMPLES", "25"))
CALL, SEND, RECEIVE, REPLY = SystemCall.CALL, SystemCall.SEND, SystemCall.RECEIVE, SystemCall.REPLY
REPLY_RECEIVE, STOP, START = SystemCall.REPLY_RECEIVE, SystemCall.THREAD_STOP, SystemCall.THREAD_START
LEVELS = [BACKGROUND, BACKGROUND, BACKGROUND, BACKGROUND, (0, 7), INTERACTIVE, REAL_TIME]
ENDS = (1, 2)
LOOKED_AT = 64  # threads whose level one trap may change: PIECE for each event that it can bring


class Waiting:
    """Who waits for whom, as far as the threads' calls say."""

    def __init__(self, world: World):
        self.world = world
        self.sends_to: dict[int, int] = {}  # thread: endpoint, while it queues
        self.serves: dict[int, int] = {}  # thread: endpoint where it received last

    def made(self, who: int, call: SystemCall, end: int) -> None:
        """A thread has made a call."""
        thread = self.world.threads[who]
        refused = thread.state == ThreadState.READY and thread.status in (Error.INVALID_HANDLE, Error.NO_CALLER)
        if call in (RECEIVE, REPLY_RECEIVE) and not refused:
            self.serves[who] = end
        if call in (CALL, SEND):
            self.sends_to[who] = end

    def edges(self) -> dict[int, set[int]]:
        """Whom each thread waits for."""
        threads = self.world.threads
        by_address = {t.address: i for i, t in enumerate(threads)}
        found: dict[int, set[int]] = {}
        for i, thread in enumerate(threads):
            if thread.state == ThreadState.CALLING:
                found[i] = {by_address[_word(thread.address + THREAD["server"])]}
            elif thread.state == ThreadState.SENDING:
                found[i] = {j for j, end in self.serves.items() if end == self.sends_to[i]}
        return found

    def levels(self) -> list[int]:
        """Of each thread: the highest of those from which a way leads to it."""
        edges = self.edges()
        own = [t.view.base_level for t in self.world.threads]
        due = list(own)
        for start, level in enumerate(own):
            reached, new = {start}, [start]
            while new:
                here = new.pop()
                due[here] = max(due[here], level)
                new += edges.get(here, set()) - reached
                reached |= set(new)
        return due


class Levels(RuleBasedStateMachine):
    """Seven threads, each of which may wait for any other, twice over."""

    @initialize()
    def start(self):
        self.world = World(*LEVELS)
        self.waiting = Waiting(self.world)
        self.lost: set[tuple[int, int]] = set()

    def ready(self, who: int) -> Actor | None:
        thread = self.world.threads[who]
        return thread if thread.state == ThreadState.READY else None

    def made(self, who: int, call: SystemCall, end: int, timeout: int = NEVER) -> None:
        thread = self.ready(who)
        if thread is not None:
            self.world.act(thread, call, end, timeout=timeout)
            self.waiting.made(who, call, end)

    THREADS = st.integers(0, len(LEVELS) - 1)
    TIMEOUTS = st.sampled_from([NEVER, NEVER, 900])

    @rule(who=THREADS, end=st.sampled_from(ENDS), call=st.sampled_from([CALL, CALL, SEND]), timeout=TIMEOUTS)
    def send(self, who, end, call, timeout):
        self.made(who, call, end, timeout)

    @rule(who=THREADS, end=st.sampled_from(ENDS), call=st.sampled_from([RECEIVE, REPLY_RECEIVE]),
          timeout=st.sampled_from([NEVER, 0]))  # fmt: skip
    def receive(self, who, end, call, timeout):
        self.made(who, call, end, timeout)

    @rule(who=THREADS)
    def reply(self, who):
        self.made(who, REPLY, 0)

    @rule(one=THREADS, other=THREADS, first=st.permutations(ENDS))
    def a_circle(self, one, other, first):
        """Both look for messages, then each calls the other."""
        for who, end in ((one, first[0]), (other, first[1])):
            self.made(who, RECEIVE, end, 0)
        for who, end in ((one, first[1]), (other, first[0])):
            self.made(who, CALL, end)

    @rule(ticks=st.sampled_from([300, 2000]))
    def time_passes(self, ticks):
        machine.host_time.value += ticks
        self.world.park()
        system_calls.timer()
        self.world.settle()

    @rule(who=THREADS, again=st.booleans())
    def stop(self, who, again):
        thread = self.world.threads[who]
        if thread.state != ThreadState.STOPPED:
            self.world.boot(STOP, thread.handles[Kind.THREAD])
            self.waiting.serves.pop(who, None)
        if again:
            self.world.boot(START, thread.handles[Kind.THREAD], 0x1000, 0x2000, 5)

    @rule(who=THREADS, end=st.sampled_from(ENDS))
    def lose_an_endpoint(self, who, end):
        thread = self.world.threads[who]
        self.world.boot(SystemCall.REVOKE, thread.between[end])
        if self.waiting.serves.get(who) == end:
            del self.waiting.serves[who]
        self.lost.add((who, end))

    @rule(who=THREADS)
    def get_them_back(self, who):
        thread = self.world.threads[who]
        self.world.park()
        for end in ENDS:
            if (who, end) in self.lost:
                thread.own[end] = self.world.kernel.give(thread.between[end], thread.handles[Kind.TABLE], end)
                self.lost.discard((who, end))
        self.world.kernel.set_current(0)
        self.world.settle()

    @rule(who=THREADS)
    def lose_the_table(self, who):
        """The thread's own capability to its table goes; it is configured anew when it is stopped."""
        thread = self.world.threads[who]
        self.world.boot(SystemCall.REVOKE, thread.handles[Kind.TABLE])
        self.waiting.serves.pop(who, None)
        self.world.boot(STOP, thread.handles[Kind.THREAD])
        table = thread.handles[Kind.TABLE]
        self.world.boot(SystemCall.THREAD_CONFIGURE, thread.handles[Kind.THREAD], table, NEVER, NEVER, NEVER)
        self.world.boot(START, thread.handles[Kind.THREAD], 0x1000, 0x2000, 5)

    @invariant()
    def every_level_is_that_of_the_most_urgent_who_waits(self):
        if hasattr(self, "waiting"):
            assert self.world.levels() == self.waiting.levels()


class TestLevels(Levels.TestCase):
    settings = settings(
        max_examples=EXAMPLES,
        stateful_step_count=60,
        deadline=None,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
    )


def test_a_circle_does_not_keep_a_level_that_nobody_in_it_has():
    """A calls B, who calls A; the urgent one queues for A, and gives up."""
    world = World(BACKGROUND, BACKGROUND, REAL_TIME)
    a, b, urgent = world.threads
    world.act(a, RECEIVE, 1, timeout=0)
    world.act(b, RECEIVE, 2, timeout=0)
    world.act(a, CALL, 2)
    world.act(b, CALL, 1)
    world.act(urgent, CALL, 1, timeout=500)
    assert world.levels()[:2] == [LEVEL[REAL_TIME]] * 2
    machine.host_time.value += 1000
    world.park()
    system_calls.timer()
    world.settle()
    assert urgent.status == Error.TIMED_OUT
    assert world.levels()[:2] == [LEVEL[BACKGROUND]] * 2


def test_whoever_serves_an_endpoint_is_as_urgent_as_those_who_queue_there():
    world = World(BACKGROUND, BACKGROUND, BACKGROUND, BACKGROUND, REAL_TIME)
    first, second, idle, client, urgent = world.threads
    for server in (first, second, idle):
        world.act(server, RECEIVE, 1, timeout=0)
    world.act(idle, RECEIVE, 2, timeout=0)  # it has gone elsewhere
    world.act(first, RECEIVE, 1)
    world.act(client, CALL, 1)
    world.act(urgent, CALL, 1)
    assert world.levels()[:3] == [LEVEL[REAL_TIME], LEVEL[REAL_TIME], LEVEL[BACKGROUND]]
    world.act(second, RECEIVE, 1)
    assert world.levels()[:3] == [LEVEL[BACKGROUND], LEVEL[REAL_TIME], LEVEL[BACKGROUND]]


def test_a_server_that_goes_on_by_another_capability_takes_the_complete_path():
    """There it is noted by which one it serves: with that one, not with the first, its clients' level would go."""
    world = World(BACKGROUND, BACKGROUND)
    server, client = world.threads
    world.park()
    server.own[4] = world.kernel.give(world.objects[1], server.handles[Kind.TABLE], 4)
    world.kernel.set_current(0)
    world.act(server, RECEIVE, 1)
    world.act(client, CALL, 1)
    world.park()
    system_calls.scheduler.dequeue(server.view)
    world.kernel.set_current(server.address)
    for slot, taken in ((4, False), (1, True)):
        server.registers(int(REPLY_RECEIVE), server.own[slot], (), 0, 0, NEVER)
        assert (fastpath.reply_receive(server.view) is not None) is taken


def with_an_end(world: World, who: int, slot: int, expiry: int) -> None:
    """A thread's own capability to endpoint 1 in another slot, with an end."""
    world.park()
    thread = world.threads[who]
    thread.own[slot] = world.kernel.give(world.objects[1], thread.handles[Kind.TABLE], slot, expiry=expiry)
    world.kernel.set_current(0)


@pytest.mark.parametrize("then", ["runs", "waits for another", "goes on without an end"])
def test_who_serves_by_a_capability_that_expires_loses_the_level_that_came_by_it(then):
    """At that moment: the timer is set for it, no call and no other event brings it about."""
    world = World(BACKGROUND, BACKGROUND, REAL_TIME)
    server, other, urgent = world.threads
    end = machine.host_time.value + 5000
    with_an_end(world, 0, 4, end)
    world.act(server, RECEIVE, 4, timeout=0)
    assert _word(world.kernel.state_address + STATE["programmed"]) <= end
    if then == "goes on without an end":
        world.act(server, RECEIVE, 1, timeout=0)
    elif then == "waits for another":
        world.act(other, RECEIVE, 2)
        world.act(server, CALL, 2)
    world.act(urgent, CALL, 1)
    served = 2 if then == "waits for another" else 1
    assert world.levels()[:served] == [LEVEL[REAL_TIME]] * served
    for ticks in (4000, 2000):
        machine.host_time.value += ticks
        world.park()
        system_calls.timer()
        world.settle()
        stays = ticks == 4000 or then == "goes on without an end"
        assert world.levels()[:served] == [LEVEL[REAL_TIME if stays else BACKGROUND]] * served
    assert _word(world.kernel.state_address + STATE["timer_count"]) == 0
    assert urgent.state == ThreadState.SENDING


def test_a_call_by_a_capability_that_expires_ends_then_whether_it_was_received_at_once_or_later():
    for waits in ("the server", "the caller"):
        world = World(BACKGROUND, BACKGROUND)
        server, client = world.threads
        with_an_end(world, 1, 4, machine.host_time.value + 5000)
        if waits == "the server":
            world.act(server, RECEIVE, 1)
        world.act(client, CALL, 4)
        if waits == "the caller":
            world.act(server, RECEIVE, 1)
        assert client.state == ThreadState.CALLING
        machine.host_time.value += 6000
        world.park()
        system_calls.timer()
        world.settle()
        assert (client.state, client.status) == (ThreadState.READY, Error.EXPIRED)


@pytest.mark.parametrize("shape", ["chain", "pool"])
def test_many_levels_follow_in_bounded_pieces(shape):
    """An urgent thread joins, and leaves, a chain of 60 who each queue for the next one, or a pool of 60 servers."""
    world = World(BACKGROUND)
    first = world.threads[0]
    world.act(first, RECEIVE, 1, timeout=0)
    for _ in range(60):
        thread = world.thread(BACKGROUND)
        if shape == "pool":
            world.act(thread, RECEIVE, 1, timeout=0)
            continue
        kernel = world.kernel
        world.park()
        own = kernel.make(Kind.ENDPOINT)
        thread.own[4] = kernel.give(own, thread.handles[Kind.TABLE], 4)
        last = world.threads[-2]
        thread.own[5] = thread.own[1]
        if last is not first:
            thread.own[5] = kernel.give(last.end, thread.handles[Kind.TABLE], 5)
        thread.end = own
        kernel.set_current(0)
        world.act(thread, RECEIVE, 4, timeout=0)
        world.act(thread, CALL, 5)
    urgent = world.thread(REAL_TIME)
    target = 1
    if shape == "chain":
        world.park()
        urgent.own[5] = world.kernel.give(world.threads[-2].end, urgent.handles[Kind.TABLE], 5)
        world.kernel.set_current(0)
        target = 5
    for timeout, level in ((500, LEVEL[REAL_TIME]), (0, LEVEL[BACKGROUND])):
        before = world.levels()
        world.park()
        if timeout:
            system_calls.scheduler.dequeue(urgent.view)
            world.kernel.set_current(urgent.address)
            urgent.registers(int(CALL), urgent.own[target], (), 0, 0, timeout)
            system_calls.system_call(urgent.view)
        else:
            machine.host_time.value += 1000
            world.kernel.set_current(0)
            system_calls.timer()
        traps = 1
        while inheritance.pending():
            assert sum(a != b for a, b in zip(before, world.levels(), strict=True)) <= LOOKED_AT
            before = world.levels()
            world.park()
            system_calls.leave_kernel()
            traps += 1
        assert traps > 1, "all at once"
        assert world.levels() == [level] * 61 + [LEVEL[REAL_TIME]]
        world.kernel.check()
