"""Shrinks a failing program: leaves out phases, then segments, then items, as long as it still fails."""

from collections.abc import Callable, Sequence

from tests.lockstep.generator import Generator, Keep, Shape

Place = tuple[int, ...]


def shrink(
    candidates: Sequence[Place], base: frozenset[Place], fails: Callable[[frozenset[Place]], bool]
) -> frozenset[Place]:
    """Leaves out as many candidates as it can, in halves, quarters, and so on to single ones (delta debugging)."""
    left = list(candidates)
    without = base
    size = max(1, len(left) // 2)
    while left:
        at, shrunk = 0, False
        while at < len(left):
            attempt = without | set(left[at : at + size])
            if fails(attempt):
                without = attempt
                del left[at : at + size]
                shrunk = True
            else:
                at += size
        if size == 1 and not shrunk:
            break
        size = max(1, size // 2) if size > 1 else 1
    return without


def minimise(seed: int, shape: Shape, fails: Callable[[Keep], bool]) -> Keep:
    """The smallest program found that still fails; `fails` runs one."""
    without: frozenset[Place] = frozenset()

    def attempt(places: frozenset[Place]) -> bool:
        return fails(Keep(places))

    without = shrink([(phase,) for phase in range(shape.phases)], without, attempt)
    for length in (2, 3):
        places = [place for place in Generator(seed, shape, Keep(without)).program().places if len(place) == length]
        without = shrink(places, without, attempt)
    return Keep(without)


def write_keep(keep: Keep) -> str:
    """As text, for a file."""
    return "".join(" ".join(map(str, place)) + "\n" for place in sorted(keep.without))


def read_keep(text: str) -> Keep:
    return Keep(frozenset(tuple(map(int, line.split())) for line in text.splitlines() if line.strip()))
