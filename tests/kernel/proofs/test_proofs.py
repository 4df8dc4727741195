"""Every proof holds, and each fails when a check that it depends on is taken out of the source."""

import pytest

from kernel.lang.symbolic import Explorer, Failed, Removed
from kernel.proofs.all import PROOFS, derive
from kernel.proofs.proof import program_of

SLOW = {
    "derive keeps the tree and the order of rights in it",
    "retype never makes objects that overlap",
}  # more than two CPU-seconds


def marked(name):
    return [pytest.mark.long] if name in SLOW else []


@pytest.mark.parametrize("name", [pytest.param(n, marks=marked(n)) for n in PROOFS])
def test_proof_holds(name):
    took, seconds = PROOFS[name].run()
    print(f"{name}: {seconds:.2f} s, {took.paths} paths, {took.goals} goals, {took.queries} queries")
    assert took.goals and took.reached


WITHOUT = [(proof.name, removed) for proof in PROOFS.values() for removed in proof.depends]


@pytest.mark.parametrize(
    "name, removed", [pytest.param(n, r, id=f"{n} without {r}", marks=marked(n)) for n, r in WITHOUT]
)
def test_proof_fails_without_the_check(name, removed):
    with pytest.raises(Failed) as failure:
        PROOFS[name].run(removed)
    print(failure.value)


def test_a_counterexample_names_fields():
    removed = derive.derive_never_adds_rights.depends[0]
    with pytest.raises(Failed, match=r"(?s)allows no more than its source.*source\.kind = \d+"):
        derive.derive_never_adds_rights.run(removed)


def test_a_check_that_is_no_longer_in_the_source_is_an_error():
    proof = derive.derive_never_adds_rights
    with pytest.raises(LookupError, match="derive has no condition or statement `rights > 3`"):
        Explorer(program_of(proof.functions), Removed(proof.functions[0], "rights > 3"))
