"""Hostile programs: random registers in every system call, from threads that hold a bit of everything.

A panic of the kernel fails the test, whatever a thread asked for; so does a capability tree that is none, and memory
that does not come back. `KERNEL_CORE_FUZZ=N` makes N calls; the seed is printed, and KERNEL_CORE_SEED repeats it.
"""

import os
import random

from kernel.abi import Error, Kind, SystemCall, ThreadState
from kernel.core import boot, machine, system_calls
from kernel.lang import KernelPanic
from tests.kernel.core.machine import NEVER, STATE, Actor, KernelUnderTest, _word

CALLS = int(os.environ.get("KERNEL_CORE_FUZZ", "6000"))
SEED = int(os.environ.get("KERNEL_CORE_SEED", random.randrange(2**32)))
EDGES = [0, 1, 2, 3, 7, 8, 12, 31, 32, 63, 64, 255, 4096, 0x40_0000, 1 << 32, (1 << 32) - 1, 1 << 38, 1 << 63, NEVER]
ROUNDS = 1500  # calls between two kernels


class Fuzz:
    """A kernel with three threads that act at random."""

    def __init__(self, rng: random.Random):
        self.rng = rng
        kernel = self.kernel = KernelUnderTest(19)
        self.threads: list[Actor] = [kernel.actor(f"t{i}", 6, (i % 3, 0)) for i in range(3)]
        shared = [kernel.make(k) for k in (Kind.ENDPOINT, Kind.NOTIFICATION, Kind.CHANNEL, Kind.SPACE)]
        for number, kind in ((90, Kind.MACHINE), (91, Kind.AUDIT)):
            shared.append(boot.add(number, kind, 0, 0, 9))
        shared.append(boot.add(92, Kind.INTERRUPT, 10, 0, 31))
        for thread in self.threads:
            table = thread.handles[Kind.TABLE]
            for slot, handle in enumerate([*shared, *thread.handles.values()]):
                kernel.give(handle, table, slot, kernel.slot(handle)["rights"])
            untyped = kernel.make(Kind.UNTYPED, 15)
            assert kernel.do(kernel.boot, SystemCall.MOVE, untyped, table, 20) == Error.NONE
            for slot in range(21, 25):
                frame = kernel.make(rng.choice([Kind.FRAME, Kind.PAGE_TABLE]), 12)
                assert kernel.do(kernel.boot, SystemCall.MOVE, frame, table, slot) == Error.NONE
        for a in self.threads:
            for slot, b in enumerate(self.threads, 30):
                kernel.give(b.handles[Kind.THREAD], a.handles[Kind.TABLE], slot)
                kernel.give(b.handles[Kind.TABLE], a.handles[Kind.TABLE], slot + 5)
        for thread in self.threads:
            start = (SystemCall.THREAD_START, thread.handles[Kind.THREAD], 0x1000, 0x2000, 5)
            assert kernel.do(kernel.boot, *start) == Error.NONE
        kernel.set_current(0)
        system_calls.leave_kernel()
        self.by_address = {t.address: t for t in self.threads}

    def number(self) -> int:
        """A value that may be a handle, an edge, or anything."""
        choice = self.rng.random()
        if choice < 0.55:
            return self.rng.choice((1, 1, 1, 2, 3)) << 32 | self.rng.randrange(0, 66)
        if choice < 0.85:
            return self.rng.choice(EDGES)
        return self.rng.randrange(64) if choice < 0.95 else self.rng.getrandbits(64)

    def step(self) -> str:
        """One call of whoever runs, or time passes; says what was done."""
        rng = self.rng
        address = self.kernel.current()
        if not address:
            return self.nobody_runs()
        thread = self.by_address[address]
        call = rng.randrange(len(SystemCall)) if rng.random() < 0.98 else rng.getrandbits(64)
        if call in (SystemCall.EXIT, SystemCall.THREAD_STOP, SystemCall.MACHINE_STOP) and rng.random() < 0.9:
            call = int(SystemCall.YIELD)
        words = tuple(self.number() for _ in range(8))
        timeout = rng.choice([0, 0, 5, 100, NEVER])
        capability = self.number() if rng.random() < 0.3 else 0
        thread.registers(call, self.number(), words, capability, self.number() & 0x3F_0000_01FF, timeout)
        what = f"{thread.name}: call {call} {thread.view.frame.handle:#x} {[hex(w) for w in words]}"
        if rng.random() < 0.02:
            system_calls.fault(thread.view, 13, self.number(), 0x1000)
            return f"{thread.name}: fault"
        system_calls.system_call(thread.view)
        return what

    def nobody_runs(self) -> str:
        """Time passes; when nobody waits for that either, a thread is started again."""
        machine.host_time.value += 1000
        system_calls.timer()
        if not self.kernel.current():
            for thread in self.threads:
                if thread.state in (ThreadState.STOPPED, ThreadState.FAULTED):
                    self.kernel.do(self.kernel.boot, SystemCall.THREAD_START, thread.handles[Kind.THREAD], 4096, 8192)
                else:
                    self.kernel.do(self.kernel.boot, SystemCall.THREAD_STOP, thread.handles[Kind.THREAD])
            self.kernel.set_current(0)
            system_calls.leave_kernel()
        return "nobody runs"

    def end(self) -> None:
        """All memory can be taken back."""
        kernel = self.kernel
        assert kernel.do(kernel.boot, SystemCall.REVOKE, kernel.untyped) == Error.NONE
        alive = sorted(Kind(slot["kind"]) for slot, _ in kernel.tree())
        assert set(alive) <= {Kind.UNTYPED, Kind.TABLE, Kind.MACHINE, Kind.AUDIT, Kind.INTERRUPT}, alive
        assert _word(kernel.state_address + STATE["timer_count"]) == 0
        assert kernel.do(kernel.boot, SystemCall.RETYPE, kernel.untyped, 0, 100, Kind.UNTYPED, kernel.bits) == 0


def test_no_registers_make_the_kernel_panic_or_lose_anything():
    print(f"KERNEL_CORE_SEED={SEED}")
    rng = random.Random(SEED)
    done = 0
    while done < CALLS:
        fuzz = Fuzz(rng)
        history: list[str] = []
        for i in range(min(ROUNDS, CALLS - done)):
            try:
                history.append(fuzz.step())
                fuzz.kernel.check()
            except (KernelPanic, AssertionError) as error:
                raise AssertionError(f"call {done + i}: {error}\nlast: " + "\n      ".join(history[-6:])) from error
        done += ROUNDS
        fuzz.end()
