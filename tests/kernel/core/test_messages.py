"""Random programs of several threads: every message arrives once, whole, at one receiver; every wait ends with one
outcome; queues, timers and reply rights stay what they must be.

They make all system calls but these: MAP, UNMAP, MAP_TABLE (test_spaces.py), the INSPECTs, CLOCK, AUDIT_READ and
MACHINE_STOP, which change nothing of what threads wait for; test_fuzz.py and kernel/fuzz make those too.
"""

import ctypes
import os
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from kernel.abi import TAG_EXIT, TAG_FAULT, Error, Kind, SystemCall, ThreadState
from kernel.core import boot, fastpath, fastpath_channels, interrupts, machine, system_calls
from kernel.core.boot import BootTable
from kernel.core.objects import Frame, Table
from kernel.core.state import State
from kernel.lang import layout
from tests.kernel.core.machine import NEVER, SLOT, SLOT_BYTES, STATE, THREAD, Actor, KernelUnderTest, _word

EXAMPLES = int(os.environ.get("KERNEL_CORE_EXAMPLES", "40"))
THREADS = 5
LEVELS = [(0, 0), (0, 0), (1, 3), (1, 3), (2, 5)]
ENDS = (1, 2)  # slots of the two endpoints
BELL, FRAME, CHANNEL, MEMORY, LINE, OWN_SLICE, LIMITED = 3, 9, 10, 11, 12, 13, 14
ARRIVALS = range(16, 20)  # slots that take what is received
MOVE = 1 << 8  # Option.move
INTERRUPT = 10
KEEP = NEVER
FAST = {
    SystemCall.CALL: fastpath.call,
    SystemCall.REPLY_RECEIVE: fastpath.reply_receive,
    SystemCall.NOTIFY: fastpath.notify,
    SystemCall.CHANNEL_SEND: fastpath_channels.send,
    SystemCall.CHANNEL_RECEIVE: fastpath_channels.receive,
}
TAKES = (SystemCall.RECEIVE, SystemCall.REPLY_RECEIVE, SystemCall.CALL)
OUTCOMES = (Error.NONE, Error.TIMED_OUT, Error.PEER_GONE, Error.REVOKED, Error.INVALID_HANDLE, Error.FULL,
            Error.EXPIRED, Error.DENIED, Error.WRONG_KIND)  # fmt: skip
OTHERS = 4  # slots 4.. hold the threads


class Messages(RuleBasedStateMachine):
    """Five threads of three classes, two endpoints, a notification, a channel, a page each; each may stop and
    start the others."""

    @initialize()
    def start(self):
        kernel = self.kernel = KernelUnderTest(20)
        self.threads: list[Actor] = [kernel.actor(f"t{i}", 5, LEVELS[i]) for i in range(THREADS)]
        endpoints = [kernel.make(Kind.ENDPOINT) for _ in ENDS]
        bell, channel = kernel.make(Kind.NOTIFICATION), kernel.make(Kind.CHANNEL)
        boot.add(500, Kind.INTERRUPT, INTERRUPT, 0, 31)
        self.ends = endpoints
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
            memory = kernel.make(Kind.UNTYPED, 13)
            assert kernel.do(kernel.boot, SystemCall.MOVE, memory, table, MEMORY) == Error.NONE
            self.handles[i, MEMORY] = kernel.boot.word(0)
            self.handles[i, LINE] = kernel.give(boot.handle_at(500), table, LINE)
            self.handles[i, OWN_SLICE] = kernel.give(thread.handles[Kind.SLICE], table, OWN_SLICE)
            self.between[i, LIMITED] = self.between[i, ENDS[0]]
            fault = kernel.next_slot
            kernel.next_slot += 1
            assert kernel.do(kernel.boot, SystemCall.DERIVE, endpoints[1], 0, fault, 31, 200 + i, 0) == Error.NONE
            words = (thread.handles[Kind.THREAD], KEEP, KEEP, kernel.boot.word(0), KEEP)
            assert kernel.do(kernel.boot, SystemCall.THREAD_CONFIGURE, *words) == Error.NONE
            for j, other in enumerate(self.threads):
                self.handles[i, OTHERS + j] = kernel.give(other.handles[Kind.THREAD], table, OTHERS + j)
        self.by_address = {t.address: i for i, t in enumerate(self.threads)}
        self.serial = 0
        self.offered: dict[int, tuple[int, list[int], int]] = {}  # serial: sender, words, badge
        self.delivered: set[int] = set()
        self.losing = False  # a thread's table, which ends calls that were received too
        self.ended: dict[int, tuple[int, int]] = {}  # badge of an end that nobody has heard of yet: tag, cause
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
        table = layout.variable_address(boot.boot_table), BootTable.size  # type: ignore[attr-defined]
        return [(self.kernel.base, 1 << self.kernel.bits), (self.kernel.state_address, State.size), table]  # type: ignore[attr-defined]

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
        self.drop(accept)
        self.act(SystemCall.RECEIVE, end, option=(accept + 1) << 32)
        who = self.current()
        if who is not None:
            self.handles[who, what] = self.handle_at(who, what)
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

    @rule(exits=st.booleans(), cause=st.integers(1, 99))
    def end(self, exits, cause):
        """Whoever runs faults or exits; it may be started again by others."""
        who = self.current()
        if who is None:
            return
        thread = self.threads[who]
        self.pending.pop(who, None)
        self.ended[200 + who] = TAG_EXIT if exits else TAG_FAULT, cause
        for _ in range(20):
            if self.current() != who or thread.state == ThreadState.FAULTED:
                break
            if exits:
                thread.registers(int(SystemCall.EXIT), cause, (), 0, 0, NEVER)
                system_calls.system_call(thread.view)
            else:
                system_calls.fault(thread.view, cause, 0x99, 0x1000)
        assert thread.state == ThreadState.FAULTED
        self.observe()

    @rule(life=st.sampled_from([5, 300, 700]), call=st.sampled_from([SystemCall.RECEIVE, SystemCall.CALL]))
    def wait_by_what_expires(self, life, call):
        """Whoever runs gets a capability that ends soon, and waits by it."""
        who, kernel = self.current(), self.kernel
        if who is None:
            return
        self.handles[who, LIMITED] = self.handle_at(who, LIMITED)
        self.act(SystemCall.DELETE, LIMITED)
        if self.current() != who or not self.threads[who].view.table.kind:
            return
        address = kernel.current()
        table, end = self.threads[who].handles[Kind.TABLE], machine.host_time.value + life
        self.handles[who, LIMITED] = kernel.give(self.ends[0], table, LIMITED, badge=100 + who, expiry=end)
        kernel.set_current(address)
        self.act(call, LIMITED)

    @rule(end=st.sampled_from(ENDS), what=st.sampled_from([BELL, FRAME, CHANNEL, MEMORY, *ENDS]),
          accept=st.sampled_from(ARRIVALS))  # fmt: skip
    def move_a_capability(self, end, what, accept):
        """Somebody receives who takes capabilities; whoever runs next gives one away for good."""
        self.act(SystemCall.RECEIVE, end, option=(accept + 1) << 32)
        who = self.current()
        if who is not None:
            self.handles[who, what] = self.handle_at(who, what)
            self.act(SystemCall.CALL, end, capability=self.handles[who, what], option=MOVE)

    @rule(end=st.sampled_from(ENDS), what=st.sampled_from([BELL, FRAME]), move=st.booleans())
    def answer_with_a_capability(self, end, what, move):
        who = self.current()
        if who is not None:
            handle = self.handle_at(who, what)
            self.act(SystemCall.REPLY_RECEIVE, end, capability=handle, option=MOVE if move else 3)

    @rule(what=st.sampled_from([FRAME, BELL, *ENDS]), move=st.booleans())
    def through_the_channel(self, what, move):
        who = self.current()
        if who is not None:
            handle = self.handle_at(who, what)
            self.act(SystemCall.CHANNEL_SEND, CHANNEL, (7,), capability=handle, option=MOVE if move else 31)

    @rule(slot=st.sampled_from([*ENDS, BELL, CHANNEL]), to=st.sampled_from(ARRIVALS), back=st.booleans())
    def move_in_the_table(self, slot, to, back):
        """Who waits by it in another thread of the table would be told; here it is put back."""
        who = self.current()
        if who is None:
            return
        self.act(SystemCall.MOVE, slot, (0, to))
        if back and self.current() == who and self.threads[who].status == Error.NONE:
            self.handles[who, to] = self.handle_at(who, to)
            self.act(SystemCall.MOVE, to, (0, slot))
            self.handles[who, slot] = self.handle_at(who, slot)

    @rule(kind=st.sampled_from([Kind.ENDPOINT, Kind.NOTIFICATION, Kind.TABLE, Kind.THREAD, Kind.SPACE, Kind.CHANNEL]),
          slot=st.sampled_from(ARRIVALS), back=st.booleans())  # fmt: skip
    def make(self, kind, slot, back):
        """Objects of its own, which end with their memory."""
        self.drop(slot)
        self.act(SystemCall.RETYPE, MEMORY, (0, slot, int(kind), 2))
        if back:
            self.act(SystemCall.REVOKE, MEMORY)

    @rule(bits=st.integers(1, 255), comes=st.booleans())
    def interrupt(self, bits, comes):
        """Bound to the bell by whoever runs; some time it comes."""
        who = self.current()
        if who is not None:
            self.handles[who, BELL] = self.handle_at(who, BELL)
            self.act(SystemCall.INTERRUPT_BIND, LINE, (self.handles[who, BELL], bits))
        if comes and not machine.host_masked.value[INTERRUPT]:
            interrupts.arrived(INTERRUPT)
            system_calls.leave_kernel()
            self.observe()
        self.act(SystemCall.INTERRUPT_ACKNOWLEDGE, LINE)

    @rule(level=st.integers(0, 7), bound=st.booleans())
    def change_the_slice(self, level, bound):
        """As high as its own slice at most; and the interrupt is nobody's again."""
        who = self.current()
        if who is not None:
            own = self.handles[who, OWN_SLICE]
            self.act(SystemCall.SLICE_CONFIGURE, OWN_SLICE, (0, level, 50_000, own))
            if not bound:
                self.act(SystemCall.INTERRUPT_BIND, LINE, (0, 0))

    @rule(whose=st.integers(0, THREADS - 1), kind=st.sampled_from([Kind.TABLE, Kind.SPACE, Kind.SLICE]))
    def lose_what_it_lives_by(self, whose, kind):
        """A thread's table, space or slice is taken away, whatever it does; it gets it back and is started."""
        kernel, current, thread = self.kernel, self.kernel.current(), self.threads[whose]
        assert kernel.do(kernel.boot, SystemCall.REVOKE, thread.handles[kind]) == Error.NONE
        gone = kernel.current() == 0 or (current == thread.address and thread.state != ThreadState.READY)
        kernel.set_current(0 if gone or current == thread.address else current)
        if current == thread.address and thread.state == ThreadState.READY:
            kernel.set_current(current)
        system_calls.leave_kernel()
        while system_calls.pending():
            system_calls.leave_kernel()
        self.losing = True
        self.observe()
        self.losing = False
        current = kernel.current()
        if current == thread.address:
            return
        do = lambda *words: kernel.do(kernel.boot, *words)  # noqa: E731
        assert do(SystemCall.THREAD_STOP, thread.handles[Kind.THREAD]) == Error.NONE
        words = [thread.handles[k] if k == kind else KEEP for k in (Kind.TABLE, Kind.SPACE, Kind.ENDPOINT, Kind.SLICE)]
        assert do(SystemCall.THREAD_CONFIGURE, thread.handles[Kind.THREAD], *words) == Error.NONE
        if kind == Kind.SLICE:
            table = thread.handles[Kind.TABLE]
            self.handles[whose, OWN_SLICE] = self.handle_at(whose, OWN_SLICE)
            self.handles[whose, OWN_SLICE] = kernel.give(thread.handles[Kind.SLICE], table, OWN_SLICE)
        if thread.view.slice.kind and thread.view.space.kind:
            assert do(SystemCall.THREAD_START, thread.handles[Kind.THREAD], 0x1000, 0x2000, 5) == Error.NONE
        kernel.set_current(current)
        system_calls.leave_kernel()
        self.observe()

    # What must be true

    def observe(self) -> None:
        """Looks at who has got an outcome since the last look: first at what was received, then at what was sent."""
        self.states = [t.state for t in self.threads]
        ended = {}
        for i in list(self.pending):
            if self.states[i] in (ThreadState.READY, ThreadState.STOPPED, ThreadState.FAULTED):
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
        if got[0] in (TAG_FAULT, TAG_EXIT):
            assert self.ended.pop(thread.view.frame.number) == (got[0], got[1]), "an end that nobody had"
            return
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
        if call == SystemCall.CALL and status in (Error.REVOKED, Error.INVALID_HANDLE) and not self.losing:
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
        assert len(list(kernel.tree())) == 3
        assert _word(kernel.state_address + STATE["timer_count"]) == 0
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


def test_a_fast_call_of_who_has_waited_by_what_expired_leaves_what_the_complete_path_leaves():
    m = Messages()
    m.start()
    m.act(SystemCall.RECEIVE, ENDS[1])
    client = m.current()
    m.wait_by_what_expires(5, SystemCall.RECEIVE)
    m.time_passes(10)
    assert m.threads[client].status == Error.EXPIRED
    while m.current() != client:
        m.act(SystemCall.YIELD, 0)
    taken = Messages.fast_taken.get(fastpath.call, 0)
    m.act(SystemCall.CALL, ENDS[1])
    assert Messages.fast_taken[fastpath.call] == taken + 1 and m.threads[client].state == ThreadState.CALLING
    m.teardown()
