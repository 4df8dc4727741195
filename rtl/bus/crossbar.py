"""The AXI4 crossbar: every manager reaches every subordinate, combinationally.

    manager ── Router (decode, order) ──┬── RoundRobin ── subordinate
                                        ├── RoundRobin ── subordinate
                                        └── RoundRobin ── error subordinate (DECERR)

Nothing is registered on the way, so an idle path adds no cycle and a busy one carries one beat per cycle. What keeps it
small is one rule: a manager has transactions outstanding at one subordinate at a time, per direction. All of AXI's
ordering (A5.3) follows from it, a manager's responses come from one place, so no response is ever arbitrated, and the
cycle of waits that interleaved writes to two subordinates can build does not exist.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from amaranth.hdl import Cat, Const, Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from . import axi4
from .address_map import Window, check_windows, port_names
from .error_subordinate import ErrorSubordinate
from .round_robin import RoundRobin
from .router import Router


@dataclass(frozen=True)
class Manager:
    """A manager of the crossbar.

    name        of its port
    id_width    of its port
    read_only   it never writes: no write logic is built for it
    reaches     names of the subordinates it may reach (all, unless given); all other addresses are DECERR to it
    """

    name: str
    id_width: int = 1
    read_only: bool = False
    reaches: tuple[str, ...] | None = None


class Crossbar(wiring.Component):
    """AXI4 crossbar of several managers and several subordinates (ARM IHI 0022, AXI4).

    An idle path adds no cycle in either direction. Arbitration is round-robin per subordinate and direction, and a
    grant holds from the offer of an address to its acceptance (reads) or to the last beat of its data (writes, which so
    are never interleaved). Read data keeps the subordinate's order and is passed on as it comes. A subordinate must
    not answer in the very cycle in which it accepts the address (A3.3.1).

    Toward the subordinates an identifier is wider: the manager's number stands above the manager's own identifier.

    Parameters
    ----------
    managers : list of Manager
        Each becomes a port.
    windows : list of Window
        Each name in it becomes a port.
    elsewhere : str, optional
        The subordinate that gets all addresses outside the windows, and refuses what it does not know; a port of this
        name is made if no window has it. Unless given, addresses outside the windows answer DECERR.
    addr_width, data_width : int
        As of `axi4.Signature`.
    outstanding : int
        Transactions that a manager may have outstanding, per direction.

    Members
    -------
    <manager name> : In(axi4.Signature(id_width=manager.id_width))
        One per manager. The write channels of a read-only manager are never accepted.
    <window name> : Out(axi4.Signature(id_width=subordinate_id_width))
        One per distinct window name, in order of appearance.
    """

    def __init__(
        self,
        *,
        managers: Sequence[Manager],
        windows: Sequence[Window],
        addr_width: int,
        elsewhere: str | None = None,
        data_width: int = 64,
        outstanding: int = 8,
    ):
        if not managers:
            raise ValueError("at least one manager is needed")
        if outstanding < 1:
            raise ValueError(f"outstanding must be 1 or more, not {outstanding!r}")
        self._managers = tuple(managers)
        self._windows = check_windows(windows, addr_width)
        self._elsewhere = elsewhere
        self._names = port_names(windows)
        if elsewhere is not None and elsewhere not in self._names:
            self._names.append(elsewhere)
        names = [manager.name for manager in managers] + self._names
        if len(set(names)) != len(names):
            raise ValueError(f"port names must differ: {', '.join(names)}")
        for manager in managers:
            unknown = set(manager.reaches or ()) - set(self._names)
            if unknown:
                raise ValueError(f"manager {manager.name!r} reaches {sorted(unknown)}, which are no windows")
        self._addr_width = addr_width
        self._data_width = data_width
        self._outstanding = outstanding
        self._id_width = max(manager.id_width for manager in managers)
        self.subordinate_id_width = self._id_width + ceil_log2(len(managers))

        members = {
            manager.name: In(
                axi4.Signature(addr_width=addr_width, data_width=data_width, id_width=manager.id_width),
            )
            for manager in managers
        }
        for name in self._names:
            members[name] = Out(self._subordinate_signature())
        super().__init__(members)

    def _subordinate_signature(self) -> axi4.Signature:
        return axi4.Signature(
            addr_width=self._addr_width, data_width=self._data_width, id_width=self.subordinate_id_width
        )

    def identifiers(self, manager: str) -> range:
        """Identifiers that a manager's bursts have toward the subordinates."""
        index = [each.name for each in self._managers].index(manager)
        return range(index << self._id_width, (index + 1) << self._id_width)

    def _router(self, manager: Manager) -> Router:
        """The decoder of `manager`. What its windows leave free goes to the error subordinate, numbered last."""

        def reached(name: str) -> bool:
            return manager.reaches is None or name in manager.reaches

        windows = [(window, self._names.index(window.name)) for window in self._windows if reached(window.name)]
        if self._elsewhere is not None and reached(self._elsewhere):
            elsewhere = self._names.index(self._elsewhere)
            windows = [(window, number) for window, number in windows if number != elsewhere]
        elif sum(window.size for window, _ in windows) == 1 << self._addr_width:
            *windows, (_, elsewhere) = windows
        else:
            elsewhere = len(self._names)
        return Router(windows=windows, elsewhere=elsewhere, addr_width=self._addr_width, outstanding=self._outstanding)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        readers = {index: self._router(manager) for index, manager in enumerate(self._managers)}
        writers = {
            index: self._router(manager) for index, manager in enumerate(self._managers) if not manager.read_only
        }
        for index, router in readers.items():
            m.submodules[f"{self._managers[index].name}_read"] = router
        for index, router in writers.items():
            m.submodules[f"{self._managers[index].name}_write"] = router

        subordinates = {number: getattr(self, name) for number, name in enumerate(self._names)}
        if any(len(self._names) in router.destinations for router in readers.values()):
            m.submodules.error = error = ErrorSubordinate(
                addr_width=self._addr_width, data_width=self._data_width, id_width=self.subordinate_id_width
            )
            subordinates[len(self._names)] = error.bus

        self._connect_reads(m, readers, subordinates)
        self._connect_writes(m, writers, subordinates)
        return m

    def _arbiters(self, m: Module, direction: str, routers: dict[int, Router], subordinates: dict) -> dict:
        """(arbiter, numbers of the managers that ever ask) for each subordinate that is ever asked, by its number."""
        arbiters = {}
        for number in subordinates:
            members = [index for index, router in routers.items() if number in router.destinations]
            if members:
                arbiter = RoundRobin(count=len(self._managers), members=members)
                name = self._names[number] if number < len(self._names) else "error"
                m.submodules[f"{name}_{direction}"] = arbiter
                arbiters[number] = arbiter, members
        return arbiters

    def _port(self, index: int) -> wiring.PureInterface:
        return getattr(self, self._managers[index].name)

    def _forward_address(self, m: Module, index: int, channel: str, target: data.View) -> None:
        """A manager's address payload goes to a subordinate, with the manager's number above the identifier."""
        source = getattr(self._port(index), channel).payload
        padding = Const(0, self._id_width - len(source.id))
        number = Const(index, self.subordinate_id_width - self._id_width)
        m.d.comb += target.id.eq(Cat(source.id, padding, number))
        for field in ("addr", "len", "size", "burst"):
            m.d.comb += target[field].eq(source[field])

    def _return_responses(self, m: Module, channel: str, routers: dict[int, Router], subordinates: dict) -> None:
        """The response channel of every manager comes from its current subordinate, if the identifier says so."""
        for index, router in routers.items():
            target = getattr(self._port(index), channel)
            *others, last = sorted(router.destinations)
            with m.Switch(router.current):
                for number in [*others, last]:
                    source = getattr(subordinates[number], channel)
                    with m.Default() if number == last else m.Case(number):
                        m.d.comb += target.valid.eq(
                            source.valid & (source.payload.id[self._id_width :] == index),
                        )
                        for field in source.payload.shape().members:
                            m.d.comb += target.payload[field].eq(source.payload[field])

        for number, subordinate in subordinates.items():
            source = getattr(subordinate, channel)
            with m.Switch(source.payload.id[self._id_width :]):
                for index, router in routers.items():
                    if number in router.destinations:
                        with m.Case(index):
                            m.d.comb += source.ready.eq(getattr(self._port(index), channel).ready)

    def _connect_reads(self, m: Module, routers: dict[int, Router], subordinates: dict) -> None:
        for index, router in routers.items():
            port = self._port(index)
            m.d.comb += [
                router.address.eq(port.ar.payload.addr),
                router.accepted.eq(port.ar.valid & port.ar.ready),
                router.completed.eq(port.r.valid & port.r.ready & port.r.payload.last),
            ]
        for number, (arbiter, members) in self._arbiters(m, "read", routers, subordinates).items():
            ar = subordinates[number].ar
            m.d.comb += [ar.valid.eq(arbiter.valid), arbiter.advance.eq(ar.ready)]
            for index in members:
                router = routers[index]
                m.d.comb += arbiter.requests[index].eq(
                    self._port(index).ar.valid & router.allowed & (router.wanted == number)
                )
            with m.Switch(arbiter.grant):
                for index in members:
                    with m.Default() if index == members[-1] else m.Case(index):
                        self._forward_address(m, index, "ar", ar.payload)
                        with m.If(arbiter.valid):
                            m.d.comb += self._port(index).ar.ready.eq(ar.ready)
        self._return_responses(m, "r", routers, subordinates)

    def _connect_writes(self, m: Module, routers: dict[int, Router], subordinates: dict) -> None:
        for index, router in routers.items():
            port = self._port(index)
            m.d.comb += [
                router.address.eq(port.aw.payload.addr),
                router.accepted.eq(port.aw.valid & port.aw.ready),
                router.completed.eq(port.b.valid & port.b.ready),
            ]
        for number, (arbiter, members) in self._arbiters(m, "write", routers, subordinates).items():
            aw, w = subordinates[number].aw, subordinates[number].w
            # A grant is used up when both the address and the last beat were taken, in whatever order.
            address_taken, data_taken = Signal(), Signal()
            address_done = address_taken | aw.ready
            data_done = data_taken | (w.valid & w.ready & w.payload.last)
            m.d.comb += [aw.valid.eq(arbiter.valid & ~address_taken), arbiter.advance.eq(address_done & data_done)]
            with m.If(arbiter.valid):
                m.d.sync += [
                    address_taken.eq(address_done & ~data_done),
                    data_taken.eq(data_done & ~address_done),
                ]
            for index in members:
                router = routers[index]
                m.d.comb += arbiter.requests[index].eq(
                    self._port(index).aw.valid & router.allowed & (router.wanted == number)
                )
            with m.Switch(arbiter.grant):
                for index in members:
                    port = self._port(index)
                    with m.Default() if index == members[-1] else m.Case(index):
                        self._forward_address(m, index, "aw", aw.payload)
                        m.d.comb += [
                            w.payload.eq(port.w.payload),
                            w.valid.eq(arbiter.valid & port.w.valid & ~data_taken),
                        ]
                        with m.If(arbiter.valid):
                            m.d.comb += port.aw.ready.eq(aw.ready & ~address_taken)
                            m.d.comb += port.w.ready.eq(w.ready & ~data_taken)
        self._return_responses(m, "b", routers, subordinates)
