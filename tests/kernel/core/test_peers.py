"""Peers that die, lose their capability, or keep others waiting: who waits is told, and runs as urgently as it must."""

import pytest

from kernel.abi import TAG_EXIT, TAG_FAULT, Error, Kind, SystemCall, ThreadState
from kernel.core import machine, scheduler, system_calls
from tests.kernel.core.machine import NEVER, Actor, KernelUnderTest

CALL, RECEIVE, REPLY = SystemCall.CALL, SystemCall.RECEIVE, SystemCall.REPLY
SEND, WAIT, NOTIFY = SystemCall.SEND, SystemCall.WAIT, SystemCall.NOTIFY
ONE, TWO, BELL = 1, 2, 3  # slots of every thread
BACKGROUND, INTERACTIVE, REAL_TIME = (0, 0), (1, 3), (2, 5)
LEVEL = {BACKGROUND: 0, INTERACTIVE: 19, REAL_TIME: 53}


class World:
    """Threads that act when the test says so, two endpoints and a notification; each has capabilities of its own."""

    def __init__(self, *levels: tuple[int, int]):
        kernel = self.kernel = KernelUnderTest(21)
        self.objects = {
            ONE: kernel.make(Kind.ENDPOINT),
            TWO: kernel.make(Kind.ENDPOINT),
            BELL: kernel.make(Kind.NOTIFICATION),
        }
        self.threads: list[Actor] = []
        for level in levels:
            self.thread(level)

    def thread(self, level: tuple[int, int] = BACKGROUND) -> Actor:
        """One more, ready to run. The boot thread has what its capabilities were derived from, one for each."""
        self.park()
        kernel = self.kernel
        actor = kernel.actor("", 3, level)
        self.threads.append(actor)
        actor.between, actor.own = {}, {}
        for slot, handle in self.objects.items():
            error = kernel.do(kernel.boot, SystemCall.DERIVE, handle, 0, kernel.next_slot, 31, 0, 0)
            assert error == Error.NONE
            kernel.next_slot += 1
            actor.between[slot] = kernel.boot.word(0)
            actor.own[slot] = kernel.give(kernel.boot.word(0), actor.handles[Kind.TABLE], slot)
        self.boot(SystemCall.THREAD_START, actor.handles[Kind.THREAD], 0x1000, 0x2000, 5)
        return actor

    def boot(self, call: SystemCall, handle: int, *words: int) -> None:
        """The boot thread does something that must succeed; then the kernel is left."""
        self.park()
        assert self.kernel.do(self.kernel.boot, call, handle, *words) == Error.NONE
        self.kernel.set_current(0)
        self.settle()

    def park(self) -> None:
        """Puts the thread that runs back into its queue: somebody else acts."""
        current = self.kernel.current()
        for thread in self.threads:
            if thread.address == current:
                scheduler.enqueue(thread.view, True)
        self.kernel.set_current(0)

    def settle(self) -> None:
        """As many traps as it takes until nothing is left to do."""
        for _ in range(100):
            system_calls.leave_kernel()
            if not system_calls.pending():
                break
        else:
            raise AssertionError("it does not end")
        self.kernel.check()

    def act(self, actor: Actor, call: SystemCall, slot: int = 0, *words: int, timeout: int = NEVER) -> None:
        """A system call of this thread, which must be ready: it has the CPU until it waits."""
        assert actor.state == ThreadState.READY
        self.park()
        scheduler.dequeue(actor.view)
        self.kernel.set_current(actor.address)
        actor.registers(int(call), actor.own.get(slot, 0), words, 0, 0, timeout)
        system_calls.system_call(actor.view)
        self.settle()

    def levels(self) -> list[int]:
        return [t.view.level for t in self.threads]


WAITS = {
    "sender": (SEND, ONE, ThreadState.SENDING),
    "caller": (CALL, ONE, ThreadState.SENDING),
    "receiver": (RECEIVE, ONE, ThreadState.RECEIVING),
    "waiter": (WAIT, BELL, ThreadState.WAITING),
}


def pass_time(world: World, ticks: int) -> None:
    """The timer's interrupt after so many ticks."""
    machine.host_time.value += ticks
    world.park()
    system_calls.timer()
    world.settle()


@pytest.mark.parametrize("ends", ["time", "capability", "thread"])
@pytest.mark.parametrize("call", [SEND, CALL])
def test_a_server_that_queues_at_its_own_endpoint_stops_waiting_as_anybody_does(call, ends):
    world = World(BACKGROUND, INTERACTIVE)
    server, client = world.threads
    world.act(server, RECEIVE, ONE, timeout=0)
    world.act(server, call, ONE, timeout=2000)
    world.act(client, SEND, ONE, timeout=1000)
    assert world.levels()[0] == LEVEL[INTERACTIVE], "the client waits for it"
    pass_time(world, 1500)
    assert (server.state, client.state) == (ThreadState.SENDING, ThreadState.READY)
    if ends == "time":
        pass_time(world, 1500)
        assert (server.state, server.status) == (ThreadState.READY, Error.TIMED_OUT)
    elif ends == "capability":
        world.boot(SystemCall.REVOKE, server.between[ONE])
        assert (server.state, server.status) == (ThreadState.READY, Error.REVOKED)
    else:
        world.boot(SystemCall.THREAD_STOP, server.handles[Kind.THREAD])
        assert server.state == ThreadState.STOPPED
    assert world.levels()[0] == LEVEL[BACKGROUND]


@pytest.mark.parametrize("timeout", [NEVER, 10**9])
@pytest.mark.parametrize("how", ["revoked", "deleted", "moved"])
@pytest.mark.parametrize("kind", WAITS)
def test_who_waits_by_a_capability_that_ends_is_told_at_once_and_nobody_else(kind, how, timeout):
    call, slot, state = WAITS[kind]
    world = World(BACKGROUND, BACKGROUND, BACKGROUND)
    victim, other, third = world.threads
    for thread in (other, victim):
        world.act(thread, call, slot, timeout=timeout)
        assert thread.state == state
    if how == "revoked":
        world.boot(SystemCall.REVOKE, victim.between[slot])
    else:  # by somebody who uses the same table
        third.own[7] = world.kernel.give(victim.handles[Kind.TABLE], third.handles[Kind.TABLE], 7)
        world.boot(SystemCall.THREAD_STOP, third.handles[Kind.THREAD])
        table, keep = victim.handles[Kind.TABLE], 2**64 - 1
        world.boot(SystemCall.THREAD_CONFIGURE, third.handles[Kind.THREAD], table, keep, keep, keep)
        world.boot(SystemCall.THREAD_START, third.handles[Kind.THREAD], 0x1000, 0x2000, 5)
        third.own[slot] = victim.own[slot]
        words = (0, 6) if how == "moved" else ()
        world.act(third, SystemCall.MOVE if how == "moved" else SystemCall.DELETE, slot, *words)
        assert third.status == Error.NONE
    assert victim.state == ThreadState.READY and victim.status == Error.REVOKED
    assert other.state == state


def test_many_waiters_are_told_in_bounded_pieces():
    world = World(*[BACKGROUND] * 60)
    for thread in world.threads:
        world.act(thread, SEND, ONE)
    kernel = world.kernel
    world.park()
    assert kernel.do(kernel.boot, SystemCall.REVOKE, world.objects[ONE]) == Error.NONE
    kernel.set_current(0)
    pieces = 0
    while system_calls.pending():
        before = sum(t.state == ThreadState.READY for t in world.threads)
        system_calls.leave_kernel()
        assert sum(t.state == ThreadState.READY for t in world.threads) - before <= 16
        pieces += 1
    assert pieces >= 60 // 16
    assert all(t.state == ThreadState.READY and t.status == Error.REVOKED for t in world.threads)


def expiring(world: World, slot: int, count: int, at: int) -> list[Actor]:
    """Threads with a capability that ends at this time, and nothing else has looked at since."""
    made = []
    for _ in range(count):
        thread = world.thread()
        world.park()
        table = thread.handles[Kind.TABLE]
        thread.own[7] = world.kernel.give(world.objects[slot], table, 7, expiry=at)
        world.kernel.set_current(0)
        made.append(thread)
    return made


def test_bits_reach_who_waits_behind_many_whose_capabilities_have_expired():
    world = World(BACKGROUND, BACKGROUND)
    end = machine.host_time.value + 500
    dead = expiring(world, BELL, 40, end)
    for thread in dead:
        world.act(thread, WAIT, 7)
    waiter, ringer = world.threads[:2]
    world.act(waiter, WAIT, BELL)
    machine.host_time.value = end + 1  # the timer's interrupt is still to come
    world.act(ringer, NOTIFY, BELL, 5)
    assert waiter.state == ThreadState.READY and waiter.word(0) == 5
    assert all(t.status == Error.EXPIRED for t in dead)


@pytest.mark.parametrize("how", ["fault", "exit"])
def test_the_end_of_a_thread_is_told_to_who_receives_behind_many_whose_capabilities_have_expired(how):
    world = World(BACKGROUND, BACKGROUND)
    end = machine.host_time.value + 500
    for thread in expiring(world, ONE, 66, end):
        world.act(thread, RECEIVE, 7)
    receiver, victim = world.threads[:2]
    thread = victim.handles[Kind.THREAD]
    world.boot(SystemCall.THREAD_STOP, thread)
    world.boot(SystemCall.THREAD_CONFIGURE, thread, NEVER, NEVER, world.objects[ONE], NEVER)
    world.boot(SystemCall.THREAD_START, thread, 0x1000, 0x2000, 5)
    world.act(receiver, RECEIVE, ONE)
    machine.host_time.value = end + 1
    world.park()
    scheduler.dequeue(victim.view)
    world.kernel.set_current(victim.address)
    for _ in range(20):
        if world.kernel.current() != victim.address:
            break
        if how == "fault":
            system_calls.fault(victim.view, 13, 0x77, 0x1000)
        else:
            victim.registers(int(SystemCall.EXIT), 3, (), 0, 0, NEVER)
            system_calls.system_call(victim.view)
    world.settle()
    assert victim.state == ThreadState.FAULTED
    assert receiver.status == Error.NONE and receiver.word(0) == (TAG_FAULT if how == "fault" else TAG_EXIT)


def test_who_has_had_its_turn_hands_over_no_more_of_it():
    """Two who call each other share one quantum, also when it ends while the kernel runs."""
    world = World(BACKGROUND, BACKGROUND, BACKGROUND)
    server, client, other = world.threads
    world.act(server, RECEIVE, ONE)
    world.park()
    world.kernel.set_current(0)
    scheduler.choose()
    while world.kernel.current() != client.address:
        scheduler.end_quantum()
        scheduler.choose()
    machine.host_time.value += 200_000  # past its end; the timer's interrupt is still to come
    client.registers(int(CALL), client.own[ONE], (1,), 0, 0, 10**9)
    system_calls.system_call(client.view)
    assert world.kernel.current() == other.address


def test_the_end_of_an_object_ends_the_waits_at_it():
    for kind, (call, slot, state) in WAITS.items():
        world = World(BACKGROUND, BACKGROUND)
        waiting = world.threads[0]
        world.act(waiting, call, slot)
        assert waiting.state == state
        world.boot(SystemCall.REVOKE, world.objects[slot])
        assert waiting.state == ThreadState.READY and waiting.status in (Error.REVOKED, Error.PEER_GONE), kind
        world.boot(SystemCall.DELETE, world.objects[slot])


ENDS = {
    "stopped": (SystemCall.THREAD_STOP, Kind.THREAD),
    "its last capability gone": (SystemCall.DELETE, Kind.THREAD),
    "its space gone": (SystemCall.DELETE, Kind.SPACE),
    "its slice gone": (SystemCall.REVOKE, Kind.SLICE),
}


@pytest.mark.parametrize("how", ENDS)
def test_the_end_of_a_server_ends_the_call_it_serves_and_another_server_takes_who_queues(how):
    world = World(BACKGROUND, BACKGROUND, BACKGROUND, BACKGROUND)
    server, served, queued, impatient = world.threads
    world.act(server, RECEIVE, ONE)
    world.act(served, CALL, ONE, 11)
    world.act(queued, CALL, ONE, 22)
    world.act(impatient, CALL, ONE, 33, timeout=500)
    assert server.word(0) == 11 and served.state == ThreadState.CALLING and queued.state == ThreadState.SENDING
    call, kind = ENDS[how]
    handle = server.handles[kind]
    if kind == Kind.SPACE:  # the thread's own capability to it was derived from this one
        call = SystemCall.REVOKE
    world.boot(call, handle)
    assert served.state == ThreadState.READY and served.status == Error.PEER_GONE
    assert queued.state == ThreadState.SENDING  # the endpoint is still there: a server that comes back serves it
    machine.host_time.value += 1000
    system_calls.timer()
    assert impatient.state == ThreadState.READY and impatient.status == Error.TIMED_OUT
    again = world.thread()
    world.act(again, RECEIVE, ONE)
    assert again.status == Error.NONE and again.word(0) == 22 and queued.state == ThreadState.CALLING
    world.act(again, REPLY, 0, 44)
    assert queued.status == Error.NONE and queued.word(0) == 44


# Priorities


def test_who_queues_lends_its_level_until_it_is_served_or_leaves():
    world = World(BACKGROUND, BACKGROUND, INTERACTIVE, REAL_TIME)
    server, slow, middle, urgent = world.threads
    world.act(server, RECEIVE, ONE)
    world.act(slow, CALL, ONE)
    assert world.levels()[0] == LEVEL[BACKGROUND]
    world.act(urgent, CALL, ONE, timeout=500)
    assert world.levels()[0] == LEVEL[REAL_TIME]
    assert world.kernel.current() == server.address, "who is less urgent runs before the server of the most urgent"
    machine.host_time.value += 1000  # it gives up
    system_calls.timer()
    assert urgent.status == Error.TIMED_OUT and world.levels()[0] == LEVEL[BACKGROUND]
    world.act(middle, CALL, ONE)
    world.act(urgent, CALL, ONE)
    assert world.levels()[0] == LEVEL[REAL_TIME]
    world.act(server, REPLY)
    assert world.levels()[0] == LEVEL[REAL_TIME], "they still queue"
    world.act(server, RECEIVE, ONE)
    assert middle.state == ThreadState.CALLING and world.levels()[0] == LEVEL[REAL_TIME]
    world.act(server, REPLY)
    world.act(server, RECEIVE, ONE)
    assert urgent.state == ThreadState.CALLING and world.levels()[0] == LEVEL[REAL_TIME]
    world.act(server, REPLY)
    assert world.levels() == [LEVEL[BACKGROUND], LEVEL[BACKGROUND], LEVEL[INTERACTIVE], LEVEL[REAL_TIME]]


@pytest.mark.parametrize("ending", ["reply", "timeout", "death of the caller", "death in the middle", "revoked"])
def test_levels_go_through_chains_of_calls_and_queues_and_come_back(ending):
    """The urgent one queues for A, who is served by B's endpoint's queue: A queues for B, whom C serves."""
    world = World(BACKGROUND, BACKGROUND, BACKGROUND, REAL_TIME)
    a, b, occupant, urgent = world.threads
    world.act(a, RECEIVE, ONE)
    world.act(b, RECEIVE, TWO)
    world.act(occupant, CALL, TWO)  # B is busy with it
    first = world.thread()
    world.act(first, CALL, ONE)  # and A with this one:
    world.act(a, CALL, TWO)  # it queues for B
    assert a.state == ThreadState.SENDING
    world.act(urgent, CALL, ONE, timeout=500)
    assert urgent.state == ThreadState.SENDING
    assert world.levels()[:2] == [LEVEL[REAL_TIME]] * 2, "a level stops on its way"
    if ending == "reply":
        world.act(b, REPLY)
        assert world.levels()[1] == LEVEL[REAL_TIME]
        world.act(b, RECEIVE, TWO)
        assert a.state == ThreadState.CALLING and world.levels()[1] == LEVEL[REAL_TIME]
        world.act(b, REPLY)
        assert world.levels()[:2] == [LEVEL[REAL_TIME], LEVEL[BACKGROUND]]
        world.act(a, REPLY)
        world.act(a, RECEIVE, ONE)
        world.act(a, REPLY)
        assert urgent.status == Error.NONE
    elif ending == "timeout":
        machine.host_time.value += 1000
        system_calls.timer()
    elif ending == "death of the caller":
        world.boot(SystemCall.THREAD_STOP, urgent.handles[Kind.THREAD])
    elif ending == "death in the middle":
        world.boot(SystemCall.THREAD_STOP, a.handles[Kind.THREAD])
        assert urgent.state == ThreadState.SENDING  # for whoever serves the endpoint next
    else:
        world.boot(SystemCall.REVOKE, urgent.between[ONE])
        assert urgent.status == Error.REVOKED
    assert world.levels()[:2] == [LEVEL[BACKGROUND]] * 2, "what was lent is not given back"
    world.kernel.check()


def test_a_long_queue_lends_at_least_what_is_due():
    world = World(BACKGROUND)
    server = world.threads[0]
    world.act(server, RECEIVE, ONE)
    for level in [BACKGROUND] * 20 + [REAL_TIME, INTERACTIVE]:
        thread = world.thread(level)
        world.act(thread, CALL, ONE)
        assert server.view.level == max(world.levels())
    while server.view.level != 0 or world.threads[-1].state != ThreadState.READY:
        world.act(server, REPLY)
        world.act(server, RECEIVE, ONE, timeout=0)
    assert all(t.status == Error.NONE for t in world.threads[1:])


def test_who_waits_for_a_reply_does_not_wait_for_what_died_before():
    world = World(BACKGROUND, BACKGROUND)
    server, served = world.threads
    world.park()
    table = world.kernel.make(Kind.TABLE, 8)
    world.kernel.set_current(0)
    world.act(server, RECEIVE, ONE)
    world.act(served, CALL, ONE)
    world.park()
    for handle in (table, server.handles[Kind.THREAD]):  # dissolving the table takes many steps
        assert world.kernel.do(world.kernel.boot, SystemCall.DELETE, handle) == Error.NONE
    assert served.state == ThreadState.READY and served.status == Error.PEER_GONE
    world.kernel.set_current(0)
    world.settle()
