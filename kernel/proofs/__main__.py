"""`python -m kernel.proofs [WORD]`: runs the proofs whose names have the word, and says what each took."""

import sys

from kernel.lang.symbolic import Failed
from kernel.proofs.all import PROOFS


def main(words: list[str]) -> int:
    """The exit status."""
    chosen = [p for p in PROOFS.values() if all(word in p.name for word in words)]
    if not chosen:
        print(f"no proof's name has {' '.join(words)!r}; there are: {'; '.join(PROOFS)}")
        return 2
    failed = 0
    for proof in chosen:
        try:
            took, seconds = proof.run()
        except Failed as failure:
            failed += 1
            print(f"FAILED  {proof.name}: {failure}")
            continue
        print(f"proven  {proof.name}: {seconds:.2f} s, {took.paths} paths, {took.goals} goals, {took.queries} queries")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
