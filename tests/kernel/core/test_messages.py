"""Random programs of several threads: every message arrives once, whole, at one receiver; every wait ends with one
outcome; queues, timers and reply rights stay what they must be.
"""

import ctypes
import os
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from kernel.abi import Error, Kind, SystemCall, ThreadState
from kernel.core import fastpath, fastpath_channels, machine, system_calls
from kernel.core.objects import Frame, Table
from kernel.core.state import State
from tests.kernel.core.machine import NEVER, SLOT, SLOT_BYTES, STATE, THREAD, Actor, KernelUnderTest, _word

EXAMPLES = int(os.environ.get("KERNEL_CORE_EXAMPLES", "40"))
THREADS = 5
LEVELS = [(0, 0), (0, 0), (1, 3), (1, 3), (2, 5)]
ENDS = (1, 2)  # slots of the two endpoints
BELL, FRAME, CHANNEL = 3, 9, 10
ARRIVALS = range(16, 20)  # slots that take what is received
FAST = {
    SystemCall.CALL: fastpath.call,
    SystemCall.REPLY_RECEIVE: fastpath.reply_receive,
    SystemCall.NOTIFY: fastpath.notify,
    SystemCall.CHANNEL_SEND: fastpath_channels.send,
    SystemCall.CHANNEL_RECEIVE: fastpath_channels.receive,
}
TAKES = (SystemCall.RECEIVE, SystemCall.REPLY_RECEIVE, SystemCall.CALL)
OUTCOMES = (Error.NONE, Error.TIMED_OUT, Error.PEER_GONE, Error.REVOKED, Error.INVALID_HANDLE, Error.FULL)
OTHERS = 4  # slots 4.. hold the threads


class Messages(RuleBasedStateMachine):
    """Five threads of three classes, two endpoints, a notification, a channel, a page each; each may stop and
    start the others."""

    @initialize()
    def start(self):
        kernel = self.kernel = KernelUnderTest(19)
        self.threads: list[Actor] = [kernel.actor(f"t{i}", 5, LEVELS[i]) for i in range(THREADS)]
        endpoints = [kernel.make(Kind.ENDPOINT) for _ in ENDS]
        bell, channel = kernel.make(Kind.NOTIFICATION), kernel.make(Kind.CHANNEL)
        self.handles: dict[tuple[int, int], int] = {}
        self.between: dict[tuple[int, int], int] = {}  # what the boot thread can revoke them by
        for i, thread in enumerate(self.threads):
            table = thread.handles[Kind.TABLE]
            for slot, endpoint in zip(ENDS, endpoints, strict=True):
                index, kernel.next_slot = kernel.next_slot, kernel.next_slot + 1
                assert kernel.do(kernel.boot, SystemCall.DERIVE, endpoint, 0, index, 31, 0, 0) == Error.NONE
                self.between[i, slot] = kernel.boot.word(0)
                self.handles[i, slot] = kernel.give(kernel.boot.word(0), table, slot, badge=100 + i)
            self.handles[i, BELL] = kernel.give(bell, table, BELL)
            self.handles[i, CHANNEL] = kernel.give(channel, table, CHANNEL)
            self.handles[i, FRAME] = kernel.give(kernel.make(Kind.FRAME, 12), table, FRAME)
            for j, other in enumerate(self.threads):
                self.handles[i, OTHERS + j] = kernel.give(other.handles[Kind.THREAD], table, OTHERS + j)
        self.by_address = {t.address: i for i, t in enumerate(self.threads)}
        self.serial = 0
        self.offered: dict[int, tuple[int, list[int], int]] = {}  # serial: sender, words, badge
        self.delivered: set[int] = set()
        self.pending: dict[int, tuple[SystemCall, int]] = {}  # thread: what it asked for, serial it offered
        for thread in self.threads:
            assert kernel.do(kernel.boot, SystemCall.THREAD_START, thread.handles[Kind.THREAD], 0x1000, 0x2000, 5) == 0
        kernel.set_current(0)
        system_calls.leave_kernel()
        self.states = [t.state for t in self.threads]

    # The current thread acts

    def current(self) -> int | None:
        address = self.kernel.current()
        return self.by_address[address] if address else None

    def act(self, call: SystemCall, slot: int, words=(), timeout=NEVER, capability=0, option=0) -> None:
        """The current thread makes a system call, as a trap would bring it."""
        who = self.current()
        if who is None:
            self.idle()
            return
        thread = self.threads[who]
        serial = 0
        if call in (SystemCall.SEND, SystemCall.CALL, SystemCall.REPLY, SystemCall.REPLY_RECEIVE):
            self.serial += 1
            serial = self.serial
            words = (serial, *(serial * 1000 + k for k in range(1, 8)))
            reply = call in (SystemCall.REPLY, SystemCall.REPLY_RECEIVE)
            self.offered[serial] = (who, list(words), 0 if reply else 100 + who)
        handle = self.handles.get((who, slot), 0)
        thread.registers(int(call), handle, tuple(words), capability, option, timeout)
        self.pending[who] = (call, serial)
        place = thread.view.frame.rest[0]
        if call in FAST and self.fast_path_does_the_same(call, thread):
            self.observe()
            return
        for _ in range(50):
            system_calls.system_call(thread.view)
            if thread.view.frame.rest[0] == place:
                break
            thread.view.frame.rest[0] = place  # It was to be made again.
        else:
            raise AssertionError("a system call does not come to an end")
        self.observe()

    def memory(self) -> list[tuple[int, int]]:
        """(address, bytes) of all that the kernel may change."""
        return [(self.kernel.base, 1 << self.kernel.bits), (self.kernel.state_address, State.size)]  # type: ignore[attr-defined]

    def fast_path_does_the_same(self, call: SystemCall, thread: Actor) -> bool:
        """Whether the fast path takes it; then all of memory must be as after the complete path."""
        if machine.host_time.value >= _word(self.kernel.state_address + STATE["slice_end"]):
            return False  # the two differ in when the next quantum begins
        before = [ctypes.string_at(*place) for place in self.memory()]
        fast = FAST[call]
        if call == SystemCall.CALL and thread.view.frame.capability:
            fast = fastpath.call_granting
        follower = fast(thread.view)
        if follower is None:
            assert before == [ctypes.string_at(*place) for place in self.memory()], "a guard changed something"
            return False
        if call in (SystemCall.CALL, SystemCall.REPLY_RECEIVE):  # What trap return does.
            words = THREAD["frame"] + Frame.fields["words"].offset  # type: ignore[attr-defined]
            ctypes.memmove(follower.address + words, thread.address + words, 64)
        result = self.snapshot()
        for (address, size), data in zip(self.memory(), before, strict=True):
            ctypes.memmove(address, data, size)
        system_calls.system_call(thread.view)
        assert self.snapshot() == result, "the fast path does something else"
        Messages.fast_taken[fast] = Messages.fast_taken.get(fast, 0) + 1
        return True

    def snapshot(self) -> list[bytes]:
        """All of memory, without the rest of the quantum of the thread that runs (it is in slice_end), and without the
        reason of the last refusal, which the complete path resets."""
        current = self.kernel.current()
        ctypes.memset(self.kernel.state_address + STATE["error"], 0, 1)
        ctypes.memset(current + THREAD["quantum"], 0, 8)
        return [ctypes.string_at(*place) for place in self.memory()]

    fast_taken: dict[Any, int] = {}

    def idle(self) -> None:
        """Nobody can run: time passes until a limit is over."""
        deadline = machine.host_deadline.value
        if deadline == NEVER:
            return
        machine.host_time.value = max(machine.host_time.value, deadline)
        system_calls.timer()
        self.observe()

    @rule(end=st.sampled_from(ENDS), timeout=st.sampled_from([NEVER, 0, 500]), call=st.booleans())
    def send(self, end, timeout, call):
        self.act(SystemCall.CALL if call else SystemCall.SEND, end, timeout=timeout)

    @rule(end=st.sampled_from(ENDS), timeout=st.sampled_from([NEVER, NEVER, 0, 700]))
    def receive(self, end, timeout):
        self.act(SystemCall.RECEIVE, end, timeout=timeout)

    @rule()
    def reply(self):
        self.act(SystemCall.REPLY, 0)

    @rule(end=st.sampled_from(ENDS))
    def reply_receive(self, end):
        self.act(SystemCall.REPLY_RECEIVE, end)

    @rule(end=st.sampled_from(ENDS), rounds=st.integers(1, 3))
    def serve(self, end, rounds):
        """What clients and servers do: somebody receives, whoever runs next calls, the server answers."""
        self.act(SystemCall.RECEIVE, end)
        for _ in range(rounds):
            self.act(SystemCall.CALL, end)
            self.act(SystemCall.REPLY_RECEIVE, end)

    def handle_at(self, who: int, slot: int) -> int:
        """The handle of whatever is in a slot of a thread's table now."""
        table = self.kernel.slot(self.threads[who].handles[Kind.TABLE])["object"]
        at = table + Table.size + slot * SLOT_BYTES  # type: ignore[attr-defined]
        return _word(at + SLOT["generation"], 4) << 32 | slot

    @rule(end=st.sampled_from(ENDS), what=st.sampled_from([ENDS[0], BELL, FRAME, CHANNEL]), rights=st.integers(0, 31),
          accept=st.sampled_from(ARRIVALS), others=st.integers(0, 2))  # fmt: skip
    def serve_with_a_capability(self, end, what, rights, accept, others):
        """Somebody receives who takes capabilities; whoever runs next calls with one."""
        self.act(SystemCall.RECEIVE, end, option=(accept + 1) << 32)
        who = self.current()
        if who is not None:
            self.act(SystemCall.CALL, end, capability=self.handles[who, what], option=rights)
        for _ in range(others):
            self.act(SystemCall.REPLY_RECEIVE, end, option=(accept + 1) << 32)

    @rule(slot=st.sampled_from(ARRIVALS))
    def drop(self, slot):
        """Whoever runs deletes what it received."""
        who = self.current()
        if who is not None:
            self.handles[who, slot] = self.handle_at(who, slot)
            self.act(SystemCall.DELETE, slot)

    @rule(word=st.integers(0, 2**64 - 1), rights=st.integers(0, 31), what=st.sampled_from([FRAME, FRAME, BELL]))
    def share(self, word, rights, what):
        who = self.current()
        if who is not None:
            handle = self.handles[who, what]
            self.act(SystemCall.CHANNEL_SEND, CHANNEL, (word,), capability=handle, option=rights)

    @rule(word=st.integers(0, 255), rights=st.integers(0, 31), slot=st.sampled_from(ARRIVALS))
    def share_and_take(self, word, rights, slot):
        self.share(word, rights, FRAME)
        self.drop(slot)
        self.take(slot)

    @rule(bits=st.integers(1, 255), rounds=st.integers(1, 3))
    def ring(self, bits, rounds):
        """Whoever runs waits for the bell; who is left, and so less urgent, rings it."""
        for _ in range(rounds):
            self.act(SystemCall.WAIT, BELL)
            self.act(SystemCall.NOTIFY, BELL, (bits,))

    @rule(slot=st.sampled_from(ARRIVALS))
    def take(self, slot):
        self.act(SystemCall.CHANNEL_RECEIVE, CHANNEL, (slot,))

    @rule(bits=st.integers(1, 255))
    def notify(self, bits):
        self.act(SystemCall.NOTIFY, BELL, (bits,))

    @rule(timeout=st.sampled_from([NEVER, 0, 300]))
    def wait(self, timeout):
        self.act(SystemCall.WAIT, BELL, timeout=timeout)

    @rule(how=st.sampled_from([SystemCall.YIELD, SystemCall.NULL, SystemCall.SLEEP]))
    def rest(self, how):
        self.act(how, 0, timeout=250)

    @rule(ticks=st.sampled_from([10, 400, 200_000]))
    def time_passes(self, ticks):
        machine.host_time.value += ticks
        if machine.host_time.value >= machine.host_deadline.value:
            system_calls.timer()
            self.observe()

    @rule(whom=st.integers(0, THREADS - 1))
    def stop_and_start(self, whom):
        """Kills a thread in the middle of whatever it does, and starts it again."""
        who = self.current()
        if who is None or who == whom:
            return
        self.act(SystemCall.THREAD_STOP, OTHERS + whom)
        if self.current() == who:
            self.act(SystemCall.THREAD_START, OTHERS + whom, (0x1000, 0x2000, 5))

    @rule(end=st.sampled_from(ENDS))
    def lose_an_endpoint(self, end):
        """A thread drops its capability, and gets a new one from the boot thread."""
        who = self.current()
        if who is None:
            return
        self.act(SystemCall.DELETE, end)

    @rule(end=st.sampled_from(ENDS), whose=st.integers(0, THREADS - 1))
    def revoke_an_endpoint(self, end, whose):
        """Somebody else takes it from a thread, whatever that does; sometimes it gets a new one."""
        kernel, current = self.kernel, self.kernel.current()
        assert kernel.do(kernel.boot, SystemCall.REVOKE, self.between[whose, end]) == Error.NONE
        if whose % 2:
            table = self.threads[whose].handles[Kind.TABLE]
            self.handles[whose, end] = kernel.give(self.between[whose, end], table, end, badge=100 + whose)
        kernel.set_current(current)
        while system_calls.pending():
            system_calls.leave_kernel()
        self.observe()

    # What must be true

    def observe(self) -> None:
        """Looks at who has got an outcome since the last look: first at what was received, then at what was sent."""
        self.states = [t.state for t in self.threads]
        ended = {}
        for i in list(self.pending):
            if self.states[i] in (ThreadState.READY, ThreadState.STOPPED):
                call, serial = self.pending.pop(i)
                if self.states[i] == ThreadState.READY:
                    ended[i] = (call, serial, self.threads[i].status)
        for i, (call, _, status) in ended.items():
            if call in TAKES and status == Error.NONE:
                self.took(i, self.threads[i])
        for call, serial, status in ended.values():
            self.outcome(call, serial, status)

    def took(self, i: int, thread: Actor) -> None:
        """A message has arrived."""
        got = [thread.word(k) for k in range(8)]
        assert got[0] in self.offered, f"a message that nobody sent: {got}"
        sender, words, badge = self.offered[got[0]]
        assert got == words, "a message was changed on its way"
        assert thread.view.frame.number == badge, "the badge is not the sender's"
        assert got[0] not in self.delivered, "a message was delivered twice"
        assert sender != i
        self.delivered.add(got[0])

    def outcome(self, call: SystemCall, serial: int, status: Error) -> None:
        """What the caller is told agrees with what happened."""
        if call in (SystemCall.SEND, SystemCall.REPLY):
            assert (status == Error.NONE) == (serial in self.delivered), f"{call.name} gave {status.name}"
        if call == SystemCall.CALL and status in (Error.REVOKED, Error.INVALID_HANDLE):
            assert serial not in self.delivered
        if call in TAKES:
            assert status in OUTCOMES, status

    @invariant()
    def all_that_the_kernel_must_keep_holds(self):
        if hasattr(self, "states"):
            self.kernel.check()

    @invariant()
    def the_most_urgent_thread_runs(self):
        if not hasattr(self, "states"):
            return
        ready = _word(self.kernel.state_address + STATE["ready"])
        if ready:
            current = self.kernel.current()
            assert current, "somebody is ready and nobody runs"
            assert self.threads[self.by_address[current]].view.level >= ready.bit_length() - 1

    def teardown(self):
        """Taking all memory back ends everything, whoever waits for whom."""
        if not hasattr(self, "states"):
            return
        kernel = self.kernel
        assert kernel.do(kernel.boot, SystemCall.REVOKE, kernel.untyped) == Error.NONE
        assert len(list(kernel.tree())) == 2
        assert _word(kernel.state_address + STATE["timer_count"], 4) == 0
        assert _word(kernel.state_address + STATE["ready"]) == 0


class TestMessages(Messages.TestCase):
    settings = settings(
        max_examples=EXAMPLES,
        stateful_step_count=80,
        deadline=None,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
    )

    def runTest(self):
        """The programs, which must have compared the fast path with the complete one."""
        Messages.fast_taken.clear()
        super().runTest()
        for fast, count in Messages.fast_taken.items():
            print(fast.qualname, count)
        assert len(Messages.fast_taken) == len(FAST) + 1 and min(Messages.fast_taken.values()) > 2
