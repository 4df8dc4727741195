"""The symbolic executor against the evaluator and the host-native build, on random programs (see generate.py).

Arguments are unknowns of which the solver is told one value, so the executor works with terms, as in a proof.
"""

import os

import pytest
import z3

from kernel.lang import native, types  # noqa: F401 - native gives host builds
from kernel.lang.program import compile_program
from kernel.lang.symbolic import Explorer, Panicked
from kernel.lang.symbolic.values import constant
from tests.kernel.lang import harness
from tests.kernel.lang.test_differential import random_cases

SEEDS = range(int(os.environ.get("KERNEL_FUZZ", "1")))


def symbolic_result(program, function, arguments):
    """("ok", value) or ("panic", line) of the one path that is possible."""
    found = []

    def run(path):
        values = []
        for parameter, value in zip(program.bodies[function].parameters, arguments, strict=True):
            unknown = path.unknown(parameter.type, parameter.name)
            path.assume(unknown == constant(parameter.type, value))
            values.append(unknown)
        try:
            result = path.call(function, *values)
        except Panicked as panic:
            found.append(("panic", panic.line))
            return
        solver = path.explorer.solver
        assert solver.check() == z3.sat
        number = solver.model().eval(result, model_completion=True).as_long()
        assert solver.check(result != number) == z3.unsat, "two results of one call"
        kind = program.bodies[function].result
        wraps = isinstance(kind, types.IntType)
        found.append(("ok", (kind.wrap(number) if wraps else number) & harness.MASK))

    Explorer(program, panics=True).explore(run)
    assert len(found) == 1, f"{len(found)} paths for one set of arguments"
    return found[0]


@pytest.mark.parametrize("seed", SEEDS)
def test_symbolic_runs_agree_with_the_evaluator_and_the_host(seed, tmp_path):
    cases = random_cases(seed, tmp_path)[::4]
    program = compile_program([function for function, _ in cases])
    want = harness.in_evaluator(cases)
    host = harness.on_host(cases)
    finished = 0
    for (function, arguments), a, b in zip(cases, want, host, strict=True):
        assert a == b
        got = symbolic_result(program, function, arguments)
        assert got == a[:2], f"seed {seed}: {function.name}{arguments}"
        finished += got[0] == "ok"
    print(f"seed {seed}: {len(cases)} calls agree, {finished} of them finish, the others panic")
    assert 0 < finished < len(cases)
