"""S-ATLAS on machines: the trial services (kernel/examples/trial.py) end in every way under every policy, hang, drain
and leave, and are found by those who may. On QEMU's three architectures, and on the simulated hardware.
"""

import re
import time
from collections.abc import Callable
from typing import Protocol

import pytest

from kernel import image
from kernel.services.atlas.registry import EventType
from kernel.services.description import TRIALS

from .machine import Machine
from .test_services import MACHINES, PROMPT, rows
from .test_transcript import Hardware

ICOUNT = ["-icount", "shift=4,sleep=off"]
"""Where nothing runs, time jumps."""
NEVER, FAIL, ALWAYS = TRIALS
NUMBERS = {name: number for number, name in enumerate(TRIALS, 1)}
ENDS = {"exits": "run ask {}200", "fails": "run ask {}201", "faults": "run ask {}300", "panics": "run ask {}400"}
ENDS["is killed"] = "svc kill {}"
RESTARTED = ["restarting", "registered", "restarted"]


class Typed(Protocol):
    """What is typed on: Machine, Hardware."""

    def send(self, text: str) -> None: ...
    def expect(self, wanted: str, seconds: float = 0) -> str: ...


class Console:
    """A shell, and what it shows about services."""

    def __init__(self, machine: Typed):
        self.machine = machine
        self.seen: set[str] = set()
        machine.expect(PROMPT, 60)

    def ask(self, command: str) -> str:
        """What a command prints."""
        self.machine.send(command + "\r")
        return self.machine.expect(PROMPT, 60).removeprefix(command).removesuffix("splax> ").strip()

    def row(self, name: str) -> list[str]:
        """State, health, policy, id, restarts, since."""
        return rows(self.ask("services"))[name]

    def until(self, true: Callable[[], bool], what: str) -> None:
        """Waits: what is asked takes time of the machine, and on QEMU so does what is not."""
        for _ in range(2000):
            if true():
                return
            time.sleep(0.005)
        raise AssertionError(f"never {what}:\n{self.ask('services')}\n{self.ask('dmesg')}")

    def pause(self, seconds: float) -> None:
        """Lets the machine's time pass."""
        end = self.time() + seconds
        self.until(lambda: self.time() > end, "so late")

    def time(self) -> float:
        return float(self.ask("uptime").split()[1])

    def log(self, name: str, since: float) -> list[tuple[float, str]]:
        """What the log says of a service from a moment on: times, events."""
        found = re.findall(rf"^ *([\d.]+)  atlas   {name} (\S+)$", self.ask("dmesg"), re.M)
        self.seen |= {event for _, event in found}
        return [(float(time), event) for time, event in found if float(time) > since]

    def events(self, name: str, since: float) -> list[str]:
        """The events alone."""
        return [event for _, event in self.log(name, since)]

    def start(self, name: str) -> None:
        """Starts a trial service that is down."""
        assert self.ask(f"svc start {name}") == f"{name} was started"
        self.until(lambda: self.row(name)[:2] == ["running", "healthy"], "up")

    def request(self, name: str, digits: str) -> str:
        """What `run ask` prints."""
        return self.ask(f"run ask 0x{NUMBERS[name]}{digits}")


def end(console: Console, name: str, how: str) -> None:
    """One end, and what must follow: a new life by the policy, or none."""
    state, _, policy, _, restarts, _ = console.row(name)
    if state == "stopped":
        console.start(name)
    since = console.time()
    text = console.ask(ENDS[how].format(name if "svc" in ENDS[how] else f"0x{NUMBERS[name]}"))
    assert f"{name} was killed" in text or "answered 0" in text, text
    if policy == "always" or (policy == "on-failure" and how != "exits"):
        console.until(lambda: console.row(name)[4] == str(int(restarts) + 1), "restarted")
        console.until(lambda: console.row(name)[:2] == ["running", "healthy"], "registered")
        assert console.events(name, since) == RESTARTED
    else:
        console.until(lambda: console.row(name)[0] == "stopped", "down")
        console.pause(3)
        assert console.row(name)[0] == "stopped" and console.row(name)[4] == restarts
        assert console.events(name, since) == ["unregistered"]
        memory = rows(console.ask("mem"))[name]
        assert memory[1] == "0", "what it had is free"


def hang(console: Console, name: str) -> None:
    """It lives, and is silent: that is noticed after three heartbeats; what follows says the policy."""
    state, _, policy, _, restarts, _ = console.row(name)
    if state == "stopped":
        console.start(name)
    since = console.time()
    assert "answered 0" in console.request(name, "50c")  # 12 s
    if policy == "never":
        console.until(lambda: console.row(name)[:2] == ["running", "unhealthy"], "unhealthy")
        assert "the service is not healthy" in console.request(name, "100")
        console.until(lambda: console.row(name)[:2] == ["running", "healthy"], "healthy again")
        wanted = ["degraded", "unhealthy", "healthy"]
        assert console.row(name)[4] == restarts
    else:
        console.until(lambda: console.row(name)[4] == str(int(restarts) + 1), "restarted")
        wanted = ["degraded", "unhealthy", *RESTARTED]
        console.until(lambda: console.row(name)[:2] == ["running", "healthy"], "registered")
    log = console.log(name, since)
    assert [event for _, event in log] == wanted
    assert 1.4 < log[1][0] - log[0][0] < 1.7, "one and a half heartbeats late, then three"


def slow(console: Console, name: str) -> None:
    """Two seconds' silence is not the end."""
    if console.row(name)[0] == "stopped":
        console.start(name)
    since = console.time()
    assert "answered 0" in console.request(name, "502")
    console.until(lambda: len(console.events(name, since)) >= 2, "two events")
    assert console.events(name, since) == ["degraded", "healthy"]


def leave(console: Console, name: str) -> None:
    """Draining, it is not found any more; it leaves, and is not brought back."""
    since = console.time()
    assert "answered 0" in console.request(name, "600")
    assert console.row(name)[:2] == ["running", "draining"]
    assert "the service is not healthy" in console.request(name, "100")
    assert console.ask(f"svc restart {name}") == f"{name} was restarted"
    console.until(lambda: console.row(name)[:2] == ["running", "healthy"], "up")
    assert "answered 0" in console.request(name, "700")
    console.pause(3)
    assert console.row(name)[0] == "stopped"
    assert "it does not run" in console.request(name, "100")
    assert console.events(name, since) == ["draining", "unregistered", "registered", "unregistered"]


def end_too_often(console: Console) -> None:
    """Each new life comes later, the sixth when the minute is over."""
    if console.row(ALWAYS)[0] == "stopped":
        console.start(ALWAYS)
    console.pause(61)
    since = console.time()
    for _ in range(6):
        console.until(lambda: console.row(ALWAYS)[0] == "running", "restarted")
        assert console.ask(f"svc kill {ALWAYS}") == f"{ALWAYS} was killed"
    console.until(lambda: console.row(ALWAYS)[0] == "running", "restarted")
    assert console.events(ALWAYS, since) == [*RESTARTED * 5, "restart-failed", *RESTARTED]
    times = [time for time, event in console.log(ALWAYS, since) if event == "restarting"]
    assert all(times[n + 1] - times[n] >= 2 ** (n + 1) for n in range(4)) and times[5] - times[0] > 59.99, times


def find(console: Console, running: list[str]) -> None:
    """By name, by capability; what is not there; what one must not."""
    text = console.ask("run ask")
    names = dict(re.findall(r"^(\S+) +(\S.*)$", text, re.M))
    ids = {name: console.row(name)[3] for name in (*running, "console")}
    for name, number in ids.items():
        assert names[name] == f"found, id {number}"
    for name in TRIALS.keys() - set(running):
        assert names[name] == "it does not run"
    assert names["shell"] == "that is not permitted" and names["nobody"] == "there is no such service"
    assert text.count("the capability lacks a right") == 2
    assert "  again, with no place for it: found, not given\n" in text
    asked = re.findall(r"^id (\d+): answered 0, calls so far \d+$", text, re.M)
    assert asked == sorted((ids[name] for name in running), key=int)
    assert "to register as nobody: that is not permitted\nto stop the console: that is not permitted\n" in text


def qemu(arch: str) -> Machine:
    return Machine([*MACHINES[arch], *ICOUNT, "-kernel", str(image.build(arch).path)])


ONE_MACHINE = [pytest.param(arch, marks=pytest.mark.xdist_group(f"atlas on {arch}")) for arch in image.USER_MODE]


@pytest.fixture(scope="module", params=ONE_MACHINE)
def console(request: pytest.FixtureRequest):
    with qemu(request.param) as machine:
        yield Console(machine)


@pytest.mark.parametrize("name", TRIALS)
def test_who_ends_comes_back_as_the_policy_says(console: Console, name: str):
    for how in ENDS:
        end(console, name, how)


@pytest.mark.parametrize("name", TRIALS)
def test_who_hangs_is_noticed_and_ended_as_the_policy_says(console: Console, name: str):
    console.pause(61)  # the minute of earlier restarts
    hang(console, name)


def test_restarts_back_off_and_the_sixth_waits_until_the_minute_is_over(console: Console):
    end_too_often(console)


def test_who_is_slow_is_degraded_and_who_drains_or_leaves_is_not_found(console: Console):
    slow(console, NEVER)
    leave(console, NEVER)


def test_who_has_left_stays_away_when_s_atlas_dies_and_its_program_can_be_ended(console: Console):
    if console.row(NEVER)[0] == "stopped":
        console.start(NEVER)
    assert "answered 0" in console.request(NEVER, "700")
    assert console.ask("svc kill atlas") == "atlas was killed"
    console.until(lambda: console.row("console")[:2] == ["running", "healthy"], "S-ATLAS back")
    console.pause(12)  # more than it gives a service to register
    assert console.row(NEVER)[0] == "stopped" and console.row(NEVER)[4] == "0"
    assert rows(console.ask("mem"))[NEVER][1] != "0", "its program goes on"
    assert console.ask(f"svc stop {NEVER}") == f"{NEVER} was stopped"
    assert rows(console.ask("mem"))[NEVER][1] == "0"
    assert console.ask(f"svc stop {NEVER}") == "it does not run"


def test_all_nine_events_are_seen(console: Console):
    wanted = {event.name.lower().replace("_", "-") for event in EventType}
    if console.seen != wanted:  # the tests above did not run, or not here
        slow(console, NEVER)
        leave(console, NEVER)
        hang(console, FAIL)
        end_too_often(console)
    assert console.seen == wanted


def test_services_are_found_by_name_and_by_capability_by_those_who_may(console: Console):
    before = console.ask("caps"), console.ask("mem")
    find(console, [name for name in TRIALS if console.row(name)[0] == "running"])
    assert (console.ask("caps"), console.ask("mem")) == before


def test_a_service_that_was_stopped_stays_down_when_s_atlas_dies(console: Console):
    if console.row(FAIL)[0] == "stopped":
        console.start(FAIL)
    if console.row(ALWAYS)[0] == "running":
        assert console.ask(f"svc stop {ALWAYS}") == f"{ALWAYS} was stopped"
    assert console.ask("svc kill atlas") == "atlas was killed"
    console.until(lambda: console.row(FAIL)[:2] == ["running", "healthy"], "registered again")
    console.pause(12)
    assert console.row(ALWAYS)[0] == "stopped" and console.row(ALWAYS)[4] == "0"


@pytest.mark.long
def test_policies_and_hangs_on_the_hardware():
    with Hardware() as machine:
        console = Console(machine)
        for name in TRIALS:
            end(console, name, "exits")
            end(console, name, "faults")
            hang(console, name)
        slow(console, NEVER)
        find(console, [name for name in TRIALS if console.row(name)[0] == "running"])
        leave(console, NEVER)
