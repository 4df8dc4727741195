"""Why a run did not end by itself: the line that goes with exit status 124."""

from .errors import InputError
from .machine import Machine, Outcome, Reason

QUIET_CYCLES = 10_000
"""No instruction for so long: the core waits for an interrupt, or hangs."""


def explain(machine: Machine, outcome: Outcome) -> str:
    """One line: which limit, where the core is, and what it was doing."""
    limit = {Reason.CYCLES: "cycle limit", Reason.TIME: "time limit"}[outcome.reason]
    return f"{limit} reached at cycle {machine.cycle}: {machine.where()}; {doing(machine)}"


def doing(machine: Machine) -> str:
    """What the last instructions say: nothing retired, a tight loop, or just running."""
    status = machine.status
    if not status.instructions:
        return "no instruction has retired since reset"
    quiet = status.cycle - status.last_retire
    recent = machine.recent()
    if quiet > QUIET_CYCLES:
        last = _name(machine, recent[-1])
        trap = _trap(machine)
        reason = "it traps in its own handler, waits for an interrupt, or hangs" if trap else "it waits or hangs"
        return f"no instruction has retired for {quiet} cycles ({reason}), the last was at {last}{trap}"
    distinct = sorted(set(recent))
    if len(recent) >= 32 and len(distinct) <= len(recent) // 2:
        plural = "s" if len(distinct) > 1 else ""
        where = f"{_name(machine, distinct[0])}..{distinct[-1]:#x}"
        return f"it loops over {len(distinct)} instruction{plural} at {where}{_trap(machine)}"
    return f"{status.instructions} instructions have retired"


def _name(machine: Machine, address: int) -> str:
    name = machine.symbols.name(address)
    return f"{address:#x} ({name})" if name else f"{address:#x}"


def _trap(machine: Machine) -> str:
    """Of a loop: the last trap into this mode, if there was one."""
    mode = "ms"[machine.status.privilege != 3]
    try:
        epc, tval = machine.peek(f"csr_{mode}epc"), machine.peek(f"csr_{mode}tval")
    except InputError:
        return ""
    return f"; last trap at {_name(machine, epc)} with tval {tval:#x}" if epc else ""
