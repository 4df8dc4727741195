"""Why a run did not end by itself: the line that goes with exit status 124."""

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
        waiting = f"no instruction has retired for {quiet} cycles (it waits for an interrupt, or hangs)"
        return f"{waiting}, the last was at {last}"
    distinct = sorted(set(recent))
    if len(recent) >= 32 and len(distinct) <= len(recent) // 2:
        plural = "s" if len(distinct) > 1 else ""
        return f"it loops over {len(distinct)} instruction{plural} at {_name(machine, distinct[0])}..{distinct[-1]:#x}"
    return f"{status.instructions} instructions have retired"


def _name(machine: Machine, address: int) -> str:
    name = machine.symbols.name(address)
    return f"{address:#x} ({name})" if name else f"{address:#x}"
