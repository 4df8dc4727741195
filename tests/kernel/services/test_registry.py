"""S-ATLAS's registry against a model of it in plain Python, and the published numbers one by one."""

from dataclasses import dataclass, field
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from kernel.services.atlas import registry as r
from kernel.services.atlas.registry import AtlasError as E
from kernel.services.atlas.registry import EventType, Policy, State, Status
from kernel.services.names import Name, name_words

SECOND = 10_000_000
NAMES = ["console", "timer", "net", "disk", "extra"]
BADGES = [10, 11, 12, 13, 99]


def name(text: str) -> Name:
    made = Name()
    for i, word in enumerate(name_words(text)):
        made.words[i] = word
    return made


def text(made: Name) -> str:
    return b"".join(word.to_bytes(8, "little") for word in made.words).rstrip(b"\0").decode()


def found(atlas: r.Atlas, text: str) -> Any:
    """Who is handed to clients by this name."""
    service = r.find_name(atlas, name(text))
    return service if service is not None and r.can_serve(service) else None


def log(atlas: r.Atlas) -> list[EventType]:
    return [EventType(atlas.events[i].what) for i in range(min(atlas.event_count, r.MAX_EVENTS))]


def running(policy: Policy = Policy.ALWAYS) -> r.Atlas:
    """An atlas with one declared service that registered at time 0."""
    atlas = r.Atlas()
    assert r.declare(atlas, name("console"), 10, policy, 0) == E.NONE
    assert r.start(atlas, name("console"), 0) == E.NONE
    assert r.register(atlas, 10, name("console"), 0) == E.NONE
    return atlas


def test_a_declared_name_is_registered_by_its_own_badge_only():
    atlas = r.Atlas()
    assert r.declare(atlas, name("console"), 10, Policy.ALWAYS, 0) == E.NONE
    assert r.register(atlas, 11, name("console"), 0) == E.SERVICE_EXISTS
    assert r.register(atlas, 10, name("other"), 0) == E.PERMISSION_DENIED
    assert r.register(atlas, 10, name("console"), 0) == E.NONE
    assert r.register(atlas, 10, name("console"), 0) == E.SERVICE_EXISTS


def test_a_service_is_degraded_then_unhealthy_after_three_missed_heartbeats():
    atlas = running(Policy.NEVER)
    assert r.check(atlas, SECOND) is None and found(atlas, "console").status == Status.HEALTHY
    assert r.check(atlas, 2 * SECOND) is None and found(atlas, "console").status == Status.DEGRADED
    assert r.heartbeat(atlas, 10, 2 * SECOND) == E.NONE
    assert found(atlas, "console").status == Status.HEALTHY
    assert r.check(atlas, 5 * SECOND) is None and found(atlas, "console").status == Status.DEGRADED
    assert r.check(atlas, 5 * SECOND + 1) is None and found(atlas, "console") is None
    assert log(atlas) == [
        EventType.REGISTERED,
        EventType.DEGRADED,
        EventType.HEALTHY,
        EventType.DEGRADED,
        EventType.UNHEALTHY,
    ]
    assert r.heartbeat(atlas, 10, 6 * SECOND) == E.NONE  # it was slow, not dead
    assert found(atlas, "console").status == Status.HEALTHY


def test_a_program_that_hangs_is_to_be_ended_once_it_is_given_up_and_one_that_left_is_not():
    atlas = running()
    assert r.check(atlas, 3 * SECOND) is None and r.hung(atlas) is None
    assert r.check(atlas, 3 * SECOND + 1) is None and text(r.hung(atlas).name) == "console" and r.hung(atlas) is None
    assert r.check(atlas, 4 * SECOND + 1) is not None and r.hung(atlas) is None, "its next life"
    for leaves in (False, True):
        atlas = running(Policy.NEVER)
        if leaves:
            assert r.unregister(atlas, 10, 1) == E.NONE
        else:
            assert r.ended(atlas, 10, False, 1) == E.NONE
        assert r.check(atlas, 9 * SECOND) is None and r.hung(atlas) is None
    atlas = r.Atlas()
    assert r.declare(atlas, name("console"), 10, Policy.NEVER, 0) == E.NONE
    assert r.start(atlas, name("console"), 0) == E.NONE
    assert r.check(atlas, 6 * SECOND) is None and r.hung(atlas) is not None, "it never registered"


def test_restarts_back_off_and_are_at_most_five_in_any_minute():
    atlas = running()
    now, starts = 0, []
    for _ in range(20):
        assert r.ended(atlas, 10, False, now) == E.NONE
        assert found(atlas, "console") is None
        now = r.next_check(atlas)
        assert r.check(atlas, now - 1) is None
        assert text(r.check(atlas, now).name) == "console" and r.check(atlas, now) is None
        starts.append(now)
        assert r.register(atlas, 10, name("console"), now) == E.NONE
    assert [start / SECOND for start in starts[:6]] == [1, 3, 7, 15, 31, 61]
    for start in starts:
        assert sum(start <= other < start + 60 * SECOND for other in starts) <= 5
    assert EventType.RESTART_FAILED in log(atlas) and EventType.RESTARTED in log(atlas)


def test_policies():
    for policy, clean, comes_back in [
        (Policy.NEVER, False, False),
        (Policy.NEVER, True, False),
        (Policy.ON_FAILURE, False, True),
        (Policy.ON_FAILURE, True, False),
        (Policy.ALWAYS, False, True),
        (Policy.ALWAYS, True, True),
    ]:
        atlas = running(policy)
        assert r.ended(atlas, 10, clean, SECOND) == E.NONE
        assert (r.next_check(atlas) == 2 * SECOND) == comes_back, (policy, clean)
        assert (r.check(atlas, 2 * SECOND) is not None) == comes_back, (policy, clean)


def test_a_stopped_service_stays_down_until_it_is_started():
    atlas = running()
    assert r.stop(atlas, name("console"), 1) == E.NONE
    assert r.ended(atlas, 10, False, 2) == E.NOT_RUNNING
    assert r.check(atlas, 100 * SECOND) is None and r.next_check(atlas) == r.NEVER
    assert r.start(atlas, name("console"), 100 * SECOND) == E.NONE
    assert r.start(atlas, name("console"), 100 * SECOND) == E.SERVICE_EXISTS
    assert r.register(atlas, 10, name("console"), 100 * SECOND) == E.NONE


def test_a_start_that_nobody_registers_after_has_failed():
    atlas = running()
    assert r.ended(atlas, 10, False, 0) == E.NONE
    assert r.check(atlas, SECOND) is not None
    assert r.check(atlas, 6 * SECOND) is None and EventType.RESTART_FAILED not in log(atlas)
    assert r.check(atlas, 6 * SECOND + 1) is None and log(atlas)[-1] == EventType.RESTART_FAILED
    assert r.check(atlas, 8 * SECOND + 1) is not None


def test_services_are_found_by_what_they_provide_in_order():
    atlas = r.Atlas()
    for i, service in enumerate(NAMES):
        assert r.register(atlas, i, name(service), 0) == E.NONE
        if i % 2 == 0:
            assert r.provide(atlas, i, name("stream")) == E.NONE
    found, last = [], 0
    while (service := r.discover_capability(atlas, name("stream"), last)) is not None:
        found.append(text(service.name))
        last = service.id
    assert found == ["console", "net", "extra"]
    assert r.drain(atlas, 2, 0) == E.NONE
    assert text(r.discover_capability(atlas, name("stream"), 1).name) == "extra"


def test_a_full_registry_says_so():
    atlas = r.Atlas()
    for i in range(r.MAX_SERVICES):
        assert r.register(atlas, i, name(f"s{i}"), 0) == E.NONE
    assert r.register(atlas, 1000, name("more"), 0) == E.REGISTRY_FULL
    assert r.unregister(atlas, 3, 0) == E.NONE
    assert r.register(atlas, 1000, name("more"), 0) == E.NONE


@dataclass
class Row:
    badge: int
    policy: Policy = Policy.NEVER
    declared: bool = False
    state: State = State.STOPPED
    since: int = 0
    beat: int = 0
    restart_at: int = 0
    starts: list[int] = field(default_factory=list)


class Registry(RuleBasedStateMachine):
    """Random operations; the model keeps whole histories where the code keeps rings."""

    def __init__(self):
        super().__init__()
        self.atlas, self.rows, self.now = r.Atlas(), {}, 0

    def by_badge(self, badge):
        return next((key for key, row in self.rows.items() if row.badge == badge), None)

    def fail(self, row):
        recent = [start for start in row.starts if start > self.now - 60 * SECOND]
        row.state, row.since = State.DOWN, self.now
        row.restart_at = self.now + SECOND * 2 ** len(recent)
        if len(recent) >= 5:
            row.restart_at = max(recent[-5] + 60 * SECOND, self.now + SECOND)

    def leave(self, key):
        row = self.rows[key]
        row.state, row.since = State.STOPPED, self.now
        if not row.declared:
            del self.rows[key]

    @rule(who=st.integers(0, 3), policy=st.sampled_from(Policy))
    def declare(self, who, policy):
        new = NAMES[who] not in self.rows and self.by_badge(BADGES[who]) is None
        done = r.declare(self.atlas, name(NAMES[who]), BADGES[who], policy, self.now)
        assert done == (E.NONE if new else E.SERVICE_EXISTS)
        if new:
            self.rows[NAMES[who]] = Row(BADGES[who], policy, declared=True, since=self.now)

    @rule(who=st.sampled_from(NAMES), badge=st.sampled_from(BADGES))
    def register(self, who, badge):
        key = self.by_badge(badge)
        if key is None:
            expected = E.SERVICE_EXISTS if who in self.rows else E.NONE
        elif key != who:
            expected = E.PERMISSION_DENIED
        else:
            expected = E.SERVICE_EXISTS if self.rows[who].state == State.RUNNING else E.NONE
        assert r.register(self.atlas, badge, name(who), self.now) == expected
        if expected == E.NONE:
            row = self.rows.setdefault(who, Row(badge))
            row.state, row.since, row.beat = State.RUNNING, self.now, self.now

    @rule(badge=st.sampled_from(BADGES))
    def heartbeat(self, badge):
        key = self.by_badge(badge)
        alive = key is not None and self.rows[key].state == State.RUNNING
        assert (r.heartbeat(self.atlas, badge, self.now) == E.NONE) == alive
        if alive:
            self.rows[key].beat = self.now

    @rule(badge=st.sampled_from(BADGES), clean=st.booleans())
    def ended(self, badge, clean):
        key = self.by_badge(badge)
        known = key is not None and self.rows[key].state in (State.RUNNING, State.STARTING)
        assert (r.ended(self.atlas, badge, clean, self.now) == E.NONE) == known
        if known:
            row = self.rows[key]
            if row.policy == Policy.ALWAYS or (row.policy == Policy.ON_FAILURE and not clean):
                self.fail(row)
            else:
                self.leave(key)

    @rule(badge=st.sampled_from(BADGES))
    def unregister(self, badge):
        key = self.by_badge(badge)
        known = key is not None and self.rows[key].state == State.RUNNING
        assert (r.unregister(self.atlas, badge, self.now) == E.NONE) == known
        if known:
            self.leave(key)

    @rule(who=st.sampled_from(NAMES))
    def stop(self, who):
        known = who in self.rows and self.rows[who].state != State.STOPPED
        assert (r.stop(self.atlas, name(who), self.now) == E.NONE) == known
        if known:
            self.leave(who)

    @rule(who=st.sampled_from(NAMES))
    def start(self, who):
        row = self.rows.get(who)
        can = row is not None and row.declared and row.state in (State.STOPPED, State.DOWN)
        assert (r.start(self.atlas, name(who), self.now) == E.NONE) == can
        if can:
            row.state, row.since = State.STARTING, self.now

    @rule(seconds=st.floats(0, 40))
    def time_passes(self, seconds):
        self.now += int(seconds * SECOND)
        for key, row in list(self.rows.items()):
            if row.state == State.RUNNING and self.now - row.beat > 3 * SECOND and row.policy != Policy.NEVER:
                if self.atlas_status(key) != Status.UNHEALTHY:
                    self.fail(row)
            elif row.state == State.STARTING and self.now - row.since > 5 * SECOND:
                if row.policy == Policy.NEVER:
                    self.leave(key)
                else:
                    self.fail(row)
        due = {key for key, row in self.rows.items() if row.state == State.DOWN and row.restart_at <= self.now}
        got = set()
        while (service := r.check(self.atlas, self.now)) is not None:
            got.add(text(service.name))
        assert got == due
        for key in due:
            row = self.rows[key]
            row.state, row.since = State.STARTING, self.now
            row.starts.append(self.now)
            assert sum(start > self.now - 60 * SECOND for start in row.starts) <= 5

    def atlas_status(self, key):
        return Status(r.find_name(self.atlas, name(key)).status)

    @invariant()
    def the_rows_are_the_models(self):
        rows = {text(s.name): (s.badge, State(s.state)) for s in self.atlas.services if s.state != State.FREE}
        assert rows == {key: (row.badge, row.state) for key, row in self.rows.items()}
        ids = [s.id for s in self.atlas.services if s.state == State.RUNNING]
        assert len(set(ids)) == len(ids) and 0 not in ids


TestRegistry = Registry.TestCase
TestRegistry.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
