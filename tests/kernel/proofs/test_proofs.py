"""Every proof holds, and each fails when a check that it depends on is taken out of the source."""

import dataclasses

import pytest
import z3

from kernel.abi import Kind
from kernel.core.objects import Slot
from kernel.lang import Ptr, bounded, fn, struct, u64, variable
from kernel.lang.program import compile_program
from kernel.lang.symbolic import Explorer, Failed, Removed
from kernel.lang.symbolic.memory import field
from kernel.proofs.all import PROOFS, derive
from kernel.proofs.moments import framed
from kernel.proofs.proof import program_of

SLOW = {
    "after revoke completes no descendant is usable",
    "taking a slot out of the tree leaves a tree of the others",
    "putting a slot in the place of another leaves a tree",
    "ending a capability keeps the tree, what is in it, and the tombs",
    "a step of an object's end keeps the tree, what is in it, and the tombs",
    "moving a capability keeps the tree, what is in it, and the tombs",
    "filling a slot keeps the tree, what is in it, and the tombs",
    "derive keeps the tree, the order of rights in it, and the tombs",
    "retype never makes objects that overlap",
    "ending a mapping changes nothing else of any slot",
}  # more than two CPU-seconds


def marked(name):
    return [pytest.mark.long] if name in SLOW else []


@pytest.mark.parametrize("name", [pytest.param(n, marks=marked(n)) for n in PROOFS])
def test_proof_holds(name):
    took, seconds = PROOFS[name].run()
    print(f"{name}: {seconds:.2f} s, {took.paths} paths, {took.goals} goals, {took.queries} queries")
    assert took.goals


def test_a_goal_that_no_path_comes_to_is_a_failure():
    proof = dataclasses.replace(
        PROOFS["a waiter whose capability has ended or expired is not served"], reaches=["gone"]
    )
    with pytest.raises(Failed, match="no possible path comes to gone"):
        proof.run()


@struct
class Counter:
    """See test_a_cut_loop_forgets_what_was_never_read."""

    turns: u64


counter = variable(Counter)


@fn
def count_turns(turns: u64) -> None:
    """A loop that writes what nothing has read before."""
    for _ in bounded(range(turns), 4):
        counter.turns = 7


@fn
def write_a_slot(slot: Ptr[Slot]) -> None:
    """What only the operations on the tree may do."""
    slot.kind = Kind.EMPTY


def test_another_function_that_writes_the_tree_is_found():
    proof = PROOFS["nothing else writes what the tree is made of"]
    proof = dataclasses.replace(proof, functions=[*proof.functions, write_a_slot])
    with pytest.raises(Failed, match=r"write_a_slot writes Slot\.kind"):
        proof.run()


def test_a_function_that_writes_the_tree_cannot_be_left_out():
    program = compile_program([write_a_slot])
    with pytest.raises(AssertionError, match=r"write_a_slot writes Slot\.kind"):
        Explorer(program).explore(lambda path: framed(path, write_a_slot))


def test_a_cut_loop_forgets_what_was_never_read():
    def counts(path):
        path.cuts[count_turns] = None
        before = path.memory.copy()
        turns = path.unknown(u64, "turns")
        path.assume(z3.ULE(turns, 4))
        path.call(count_turns, turns)
        place = field(path.variable_place(counter), "turns")
        path.prove(path.memory.load(place) == before.load(place), "the loop writes nothing")

    with pytest.raises(Failed, match="the loop writes nothing"):
        Explorer(compile_program([count_turns])).explore(counts)


WITHOUT = [(proof.name, removed) for proof in PROOFS.values() for removed in proof.depends]


@pytest.mark.parametrize(
    "name, removed", [pytest.param(n, r, id=f"{n} without {r}", marks=marked(n)) for n, r in WITHOUT]
)
def test_proof_fails_without_the_check(name, removed):
    with pytest.raises(Failed) as failure:
        PROOFS[name].run(removed)
    assert "no possible path" not in str(failure.value), "it fails only because nothing is left to prove"
    print(failure.value)


def test_a_counterexample_names_fields():
    removed = derive.derive_never_adds_rights.depends[0]
    with pytest.raises(Failed, match=r"(?s)allows no more than its source.*source\.kind = \d+"):
        derive.derive_never_adds_rights.run(removed)


def test_a_check_that_is_no_longer_in_the_source_is_an_error():
    proof = derive.derive_never_adds_rights
    with pytest.raises(LookupError, match="derive has no condition or statement `rights > 3`"):
        Explorer(program_of(proof.functions), Removed(proof.functions[0], "rights > 3"))
