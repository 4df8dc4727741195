"""Time limits: as many as there are threads, each ends in its turn."""

import random

from kernel.abi import Error, Kind, SystemCall
from kernel.core import timers
from tests.kernel.core.machine import STATE, THREAD, Actor, KernelUnderTest, _word

THREADS = 1100


def test_as_many_threads_as_there_are_may_wait_with_a_limit_and_the_first_is_always_known():
    """Random limits come and go; what is first, and how many there are, agrees with a list."""
    kernel = KernelUnderTest(24)
    table = kernel.make(Kind.TABLE, 12)
    room = kernel.make(Kind.UNTYPED, 23)
    threads = []
    for slot in range(THREADS):
        assert kernel.do(kernel.boot, SystemCall.RETYPE, room, table, slot, int(Kind.THREAD), 0) == Error.NONE
        slots = kernel.slot(table)["object"] + 128
        threads.append(Actor(kernel, "", kernel.read_slot(slots + 64 * slot)["object"]))
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    idle, timed = list(threads), {}
    arrivals = 0

    def agree() -> None:
        assert _word(kernel.state_address + STATE["timer_count"]) == len(timed)
        first = min(timed, key=lambda t: timed[t]) if timed else None
        assert _word(kernel.state_address + STATE["timers"]) == (first.address + THREAD["wait"] if first else 0)
        assert timers.first_deadline() == (timed[first][0] if first else 2**64 - 1)

    for step in range(3 * THREADS):
        if idle and (step < THREADS or rng.random() < 0.5):
            thread = idle.pop(rng.randrange(len(idle)))
            arrivals += 1
            timed[thread] = rng.choice([rng.randrange(50), rng.randrange(2**20), rng.getrandbits(64)]), arrivals
            timers.add(thread.view, timed[thread][0])
        elif timed:
            first = rng.random() < 0.5
            thread = min(timed, key=lambda t: timed[t]) if first else rng.choice(list(timed))
            timers.cancel(thread.view)
            timers.cancel(thread.view)  # which has none: nothing happens
            del timed[thread]
            idle.append(thread)
        if step % 16 == 0:
            agree()
        assert _word(kernel.state_address + STATE["timer_count"]) == len(timed)
    while timed:
        agree()
        thread = min(timed, key=lambda t: timed[t])
        assert thread.view.timed and _word(thread.address + THREAD["timed"], 1) == 1
        timers.cancel(thread.view)
        del timed[thread]
    agree()
