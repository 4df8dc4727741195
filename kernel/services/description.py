"""The system description: which services there are, what each may touch, when it is restarted.

Nothing runs that is not here, and nothing holds a capability that is not in a `Grant` here. S-INIT gets the description
as constant tables; `report` prints who will hold what, which is what `caps` shows when the system has started.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

from kernel.abi import Kind, Rights
from kernel.lang import *
from kernel.services.atlas.registry import Policy
from kernel.services.names import Name, name_words
from kernel.services.protocol import OPERATOR_BADGE
from kernel.services.run import SESSION_BADGE
from kernel.user.first_table import FIRST_LIFE

MAX_SERVICES = 16
MAX_GRANTS = 12
FIRST_SLOT = 2
"""Slots of a service's table start here; 0 is never used (handle 0 names nothing), 1 is S-ATLAS."""
ATLAS_SLOT = 1
KEPT_SLOT = 16
"""Slots of S-ATLAS from here hold what services registered with, by their numbers."""
LOOK_SLOT = 32
"""Where a service that looks at others finds the capability to the one that it looks at."""
LOOKER = "shell"


@enum(8)
class GrantKind(IntEnum):
    """What is granted."""

    CLIENT = 0  # of a service: may call it
    SERVE = 1  # the own endpoint: receive
    INIT = 2  # S-INIT's endpoint
    NOTIFY = 3  # a named notification: set
    WAIT = 4  # a named notification: wait
    CONSOLE = 5  # the console's registers
    CONSOLE_INTERRUPT = 6
    MACHINE = 7
    AUDIT = 8
    OWN_CLIENT = 9  # of itself: for its own second thread, or to register for clients


@dataclass(frozen=True)
class Grant:
    """One capability that a service starts with.

    name      by which the service's source calls its slot
    kind      what it is to; `of`: which service or notification
    rights    at most
    badge     who it says that the holder is; None: the service's number
    operator  whether its holder may start and stop services
    """

    name: str
    kind: GrantKind
    of: str = ""
    rights: int = Rights.WRITE
    badge: int | None = None
    operator: bool = False


@dataclass(frozen=True)
class Service:
    """A service.

    name           by which others find it
    policy         when it is restarted
    grants         its capabilities, in the order of their slots
    memory_bits    log2 of the bytes that all of it may take: program, stacks, page tables, what it makes itself
    level          within the interactive class, 0..31
    threads        1 or 2: the second one starts with argument 1
    registers      the grant that it gives S-ATLAS when it registers, for its clients
    finds          services that S-ATLAS lets it find
    program        the program's name in the image; None: the service's
    at_boot        whether it is started with the system; else somebody does: `svc start`
    """

    name: str
    policy: Policy
    grants: Sequence[Grant] = field(default_factory=tuple)
    memory_bits: int = 17
    level: int = 8
    threads: int = 1
    registers: str | None = None
    finds: Sequence[str] = ()
    program: str | None = None
    at_boot: bool = True


KINDS = {
    GrantKind.CLIENT: Kind.ENDPOINT,
    GrantKind.SERVE: Kind.ENDPOINT,
    GrantKind.INIT: Kind.ENDPOINT,
    GrantKind.OWN_CLIENT: Kind.ENDPOINT,
    GrantKind.NOTIFY: Kind.NOTIFICATION,
    GrantKind.WAIT: Kind.NOTIFICATION,
    GrantKind.CONSOLE: Kind.DEVICE,
    GrantKind.CONSOLE_INTERRUPT: Kind.INTERRUPT,
    GrantKind.MACHINE: Kind.MACHINE,
    GrantKind.AUDIT: Kind.AUDIT,
}
BADGED = (GrantKind.CLIENT, GrantKind.INIT, GrantKind.OWN_CLIENT)
DEVICES = (GrantKind.CONSOLE, GrantKind.CONSOLE_INTERRUPT, GrantKind.MACHINE, GrantKind.AUDIT)
DEVICE_DEPTH, MADE_DEPTH = 2, 3
"""Of the delegation chain: what the machine has comes from the origin by S-INIT; what S-INIT makes, from memory too."""


@dataclass(frozen=True)
class Row:
    """A capability that a service holds; `depth` is the length of the delegation chain above it."""

    service: str
    slot: int
    kind: Kind
    rights: int
    badge: int
    depth: int


class System:
    """A checked description.

    Raises ValueError for what cannot be: names that are there twice or are no names, grants of unknown services, too
    many of anything, services that need each other to start.
    """

    def __init__(self, services: Sequence[Service], notifications: Sequence[str]):
        names = [service.name for service in services]
        for name in [*names, *notifications]:
            name_words(name)
            if [*names, *notifications].count(name) > 1:
                raise ValueError(f"the name {name!r} is there twice")
        if len(services) > MAX_SERVICES:
            raise ValueError(f"{len(services)} services: {MAX_SERVICES} at most")
        for service in services:
            if len(service.grants) > MAX_GRANTS:
                raise ValueError(f"{service.name}: {len(service.grants)} grants, {MAX_GRANTS} at most")
            if service.threads not in (1, 2):
                raise ValueError(f"{service.name}: threads must be 1 or 2, not {service.threads}")
            for grant in service.grants:
                known = {GrantKind.CLIENT: names, GrantKind.NOTIFY: notifications, GrantKind.WAIT: notifications}
                if grant.kind in known and grant.of not in known[grant.kind]:
                    raise ValueError(f"{service.name}: grant {grant.name!r} is of {grant.of!r}, which is not there")
            for name in service.finds:
                if name not in names:
                    raise ValueError(f"{service.name}: finds {name!r}, which is not there")
        self.notifications = tuple(notifications)
        self.services = tuple(self._ordered(list(services)))

    @staticmethod
    def _ordered(waiting: list[Service]) -> list[Service]:
        """Services in the order in which they start: nobody before those whose client he is."""
        ordered: list[Service] = []
        while waiting:
            done = {service.name for service in ordered}
            ready = [s for s in waiting if all(g.of in done | {s.name} for g in s.grants if g.kind == GrantKind.CLIENT)]
            if not ready:
                raise ValueError(f"services need each other to start: {', '.join(s.name for s in waiting)}")
            ordered.append(ready[0])
            waiting.remove(ready[0])
        return ordered

    def index(self, name: str) -> int:
        """The number of a service."""
        return [service.name for service in self.services].index(name)

    def bits(self, names: Iterable[str]) -> int:
        """A bit for each of these services, by its number."""
        return sum(1 << self.index(name) for name in names)

    def slot(self, service: str, grant: str) -> int:
        """The slot in which a service finds a grant."""
        grants = [g.name for g in self.services[self.index(service)].grants]
        return FIRST_SLOT + grants.index(grant)

    def handle(self, service: str, grant: str) -> int:
        """The handle of that slot in its first life, which S-INIT fills."""
        return FIRST_LIFE | self.slot(service, grant)

    def badge(self, service: Service, grant: Grant) -> int:
        """The badge of a grant."""
        number = self.index(service.name) + 1
        if grant.operator:
            return OPERATOR_BADGE | number
        return number if grant.badge is None else grant.badge

    def badge_of(self, service: str, grant: str) -> int:
        """The badge of a grant, by names."""
        found = self.services[self.index(service)]
        return self.badge(found, next(g for g in found.grants if g.name == grant))

    def stands_on(self, service: Service) -> int:
        """The services without which one cannot work, itself among them: a bit each."""
        found = 1 << self.index(service.name) | 1 << self.index("atlas")
        for grant in service.grants:
            if grant.kind == GrantKind.CLIENT:
                found |= self.stands_on(self.services[self.index(grant.of)])
        return found

    def rows(self) -> list[Row]:
        """Every capability that services hold when those of the boot have started, by service and slot.

        Those of the description; those that S-ATLAS was given by who registered; and what the one who asks looks at
        itself with.
        """
        return self._rows([service for service in self.services if service.at_boot])

    def _rows(self, services: Sequence[Service]) -> list[Row]:
        rows = []
        for service in services:
            index = self.index(service.name)
            if service.name != "atlas":
                badge = self.atlas_badge(index)
                rows.append(Row(service.name, ATLAS_SLOT, Kind.ENDPOINT, Rights.WRITE, badge, MADE_DEPTH))
            for slot, grant in enumerate(service.grants, FIRST_SLOT):
                badge = self.badge(service, grant) if grant.kind in BADGED else 0
                depth = DEVICE_DEPTH if grant.kind in DEVICES else MADE_DEPTH
                rows.append(Row(service.name, slot, KINDS[grant.kind], grant.rights, badge, depth))
            if service.registers is not None:
                grant = next(g for g in service.grants if g.name == service.registers)
                badge = self.badge(service, grant)
                rows.append(
                    Row("atlas", KEPT_SLOT + index, Kind.ENDPOINT, Rights.WRITE | Rights.GRANT, badge, MADE_DEPTH + 1)
                )
            if service.name == LOOKER:
                rows.append(Row(service.name, LOOK_SLOT, Kind.TABLE, Rights.READ, 0, MADE_DEPTH + 1))
        return sorted(rows, key=lambda row: (self.index(row.service), row.slot))

    def atlas_badge(self, index: int) -> int:
        """The badge by which S-ATLAS knows a service."""
        return index + 1

    def report(self) -> str:
        """Who holds what, a line a capability, as `caps` prints it when the system has started."""
        down = [f"{service.name:<13}is not running" for service in self.services if not service.at_boot]
        return "\n".join(
            ["service      slot kind         rights        badge depth", *self._lines(self.rows()), *down, ""]
        )

    def later(self) -> str:
        """The same lines for the services that are not started with the system, once they are: what they add."""
        rows = self._rows([service for service in self.services if not service.at_boot])
        return "".join(f"{line}\n" for line in self._lines(rows))

    @staticmethod
    def _lines(rows: Sequence[Row]) -> list[str]:
        lines = []
        for row in rows:
            rights = "".join(c if row.rights & bit else "-" for c, bit in zip("rwxgv", (1, 2, 4, 8, 16), strict=True))
            kind = row.kind.name.lower()
            lines.append(f"{row.service:<13}{row.slot:4} {kind:<13}{rights}  {row.badge:#12x}{row.depth:6}")
        return lines


TRIALS = {"trial-never": Policy.NEVER, "trial-fail": Policy.ON_FAILURE, "trial-always": Policy.ALWAYS}
"""Services to try S-ATLAS with: kernel/examples/trial.py, one of each policy."""

SYSTEM = System(
    [
        Service(
            "atlas",
            Policy.ALWAYS,
            [
                Grant("self", GrantKind.SERVE, rights=Rights.READ),
                Grant("init", GrantKind.INIT),
            ],
            level=24,
        ),
        Service(
            "console",
            Policy.ALWAYS,
            [
                Grant("self", GrantKind.SERVE, rights=Rights.READ),
                Grant("own", GrantKind.OWN_CLIENT),
                Grant("clients", GrantKind.OWN_CLIENT, rights=Rights.WRITE | Rights.GRANT, badge=SESSION_BADGE),
                Grant("registers", GrantKind.CONSOLE, rights=Rights.READ | Rights.WRITE),
                Grant("interrupt", GrantKind.CONSOLE_INTERRUPT),
                Grant("arrived", GrantKind.WAIT, "console-interrupt", rights=Rights.READ | Rights.WRITE),
                Grant("input", GrantKind.NOTIFY, "shell-input"),
            ],
            level=20,
            threads=2,
            registers="clients",
        ),
        Service(
            "shell",
            Policy.ALWAYS,
            [
                Grant("console", GrantKind.CLIENT, "console"),
                Grant("input", GrantKind.WAIT, "shell-input", rights=Rights.READ),
                Grant("init", GrantKind.INIT, operator=True),
                Grant("machine", GrantKind.MACHINE, rights=Rights.READ | Rights.WRITE),
                Grant("audit", GrantKind.AUDIT, rights=Rights.READ),
                Grant("atlas", GrantKind.CLIENT, "atlas", operator=True),
            ],
        ),
        *(
            Service(
                name,
                policy,
                [
                    Grant("self", GrantKind.SERVE, rights=Rights.READ),
                    Grant("clients", GrantKind.OWN_CLIENT, rights=Rights.WRITE | Rights.GRANT, badge=SESSION_BADGE),
                ],
                registers="clients",
                program="trial",
                at_boot=False,
            )
            for name, policy in TRIALS.items()
        ),
    ],
    notifications=["console-interrupt", "shell-input"],
)


@struct
class GrantRow:
    """A grant, for S-INIT."""

    kind: GrantKind
    rights: u8
    of: u16  # number of the service or notification
    badge: u64


@struct
class ServiceRow:
    """A service, for S-INIT and S-ATLAS."""

    name: Name
    program: Name
    grants: Array[GrantRow, MAX_GRANTS]
    grant_count: u32
    stands_on: u32  # services that it needs, a bit each
    finds: u32  # services that it may find, a bit each
    policy: Policy
    memory_bits: u8
    level: u8
    threads: u8


def _of(grant: Grant) -> int:
    if grant.kind == GrantKind.CLIENT:
        return SYSTEM.index(grant.of)
    return SYSTEM.notifications.index(grant.of) if grant.kind in (GrantKind.NOTIFY, GrantKind.WAIT) else 0


def _row(service: Service) -> dict[str, object]:
    grants = [
        {"kind": grant.kind, "rights": grant.rights, "of": _of(grant), "badge": SYSTEM.badge(service, grant)}
        for grant in service.grants
    ]
    nothing = {"kind": GrantKind.CLIENT, "rights": 0, "of": 0, "badge": 0}
    return {
        "name": {"words": list(name_words(service.name))},
        "program": {"words": list(name_words(service.program or service.name))},
        "grants": grants + [nothing] * (MAX_GRANTS - len(grants)),
        "grant_count": len(grants),
        "stands_on": SYSTEM.stands_on(service),
        "finds": SYSTEM.bits(service.finds),
        "policy": service.policy,
        "memory_bits": service.memory_bits,
        "level": service.level,
        "threads": service.threads,
    }


SERVICE_COUNT = len(SYSTEM.services)
SERVICES = constant(Array[ServiceRow, SERVICE_COUNT], [_row(service) for service in SYSTEM.services])
AT_BOOT = SYSTEM.bits(service.name for service in SYSTEM.services if service.at_boot)
NOTIFICATION_COUNT = len(SYSTEM.notifications)

if __name__ == "__main__":
    print(f"{SYSTEM.report()}\nfrom `svc start` on:\n{SYSTEM.later()}", end="")
