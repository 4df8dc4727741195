"""What a proof is: a Python function that is run on every path of the kernel functions that it calls.

It makes any state that its precondition allows, calls, and states what must hold then. `depends` names the checks in
the source without which it must fail; the tests take each of them out and see that it does.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import z3

from kernel.core import audit, clock, machine
from kernel.core.state import kernel
from kernel.lang import tree
from kernel.lang.declare import ByArch, Function
from kernel.lang.program import Program, compile_program
from kernel.lang.symbolic import Explorer, Failed, Path, Removed
from kernel.lang.symbolic.explore import Statistics
from kernel.lang.symbolic.memory import field

PROOFS: dict[str, "Proof"] = {}


@dataclass(frozen=True)
class Proof:
    """See the module.

    Members
    -------
    name : str
        What is proven, as a sentence.
    body : function of a Path
    functions : sequence of Function
        What it calls: the roots of its program.
    depends : sequence of Removed
        Each of these taken out of the source makes it fail.
    reaches : sequence of str
        Labels (Path.reach) that a possible path must come to: so the goals are about something.
    """

    name: str
    body: Callable[[Path], None]
    functions: Sequence[Function]
    depends: Sequence[Removed]
    reaches: Sequence[str]

    def run(self, removed: Removed | None = None) -> tuple[Statistics, float]:
        """Proves it, or raises Failed; gives what it took and the CPU-seconds."""
        start = time.process_time()
        explorer = Explorer(program_of(self.functions), removed)
        statistics = explorer.explore(self.body)
        missed = [label for label in self.reaches if label not in statistics.reached]
        if missed:
            raise Failed(f"no possible path comes to {', '.join(missed)}, so nothing is proven of it")
        return statistics, time.process_time() - start


def proof(
    name: str, *functions: Function, depends: Sequence[Removed], reaches: Sequence[str]
) -> Callable[[Callable[[Path], None]], Proof]:
    """Registers a proof."""

    def make(body: Callable[[Path], None]) -> Proof:
        made = Proof(name, body, functions, depends, reaches)
        PROOFS[name] = made
        return made

    return make


_programs: dict[tuple[Function, ...], Program] = {}


def program_of(functions: Sequence[Function]) -> Program:
    """The program of these roots; one a process."""
    roots = tuple(functions)
    if roots not in _programs:
        _programs[roots] = compile_program(roots)
    return _programs[roots]


def hardware(path: Path) -> None:
    """What the machine does, as far as the kernel's memory can see it: nothing; time never goes back."""
    path.now = None  # type: ignore[attr-defined]

    def read_time(path: Any) -> z3.BitVecRef:
        last, path.now = path.now, z3.BitVec(path.name("time"), 64)
        path.shown[str(path.now)] = path.now
        if last is not None:
            path.assume(z3.UGE(path.now, last))
        return path.now

    def nothing(path: Any, *arguments: Any) -> None:
        return None

    path.contracts[host(machine.read_time)] = read_time
    for name in ("flush_page", "flush_space", "publish_tables", "mask_interrupt", "unmask_interrupt", "set_deadline"):
        path.contracts[host(getattr(machine, name))] = nothing


def host(choice: ByArch) -> Function:
    """The function that the host's program has for a name of machine.py."""
    return choice.choices["host"]


def without_audit(path: Path) -> None:
    """Leaves the audit ring out: it writes entries of its own, which nothing here depends on. A refusal is noted."""

    def record(path: Any, *arguments: Any) -> None:
        return None

    def denied(path: Any, handle: Any, error: Any) -> None:
        path.memory.store(field(path.variable_place(kernel), "error"), error)

    path.contracts[audit.record] = record
    path.contracts[audit.denied] = denied


__all__ = ["PROOFS", "Proof", "Removed", "clock", "hardware", "host", "program_of", "proof", "tree", "without_audit"]
