"""Checks of wave files: Verilator's writer does not tell when the disk is full."""

from pathlib import Path

from .errors import InputError

FST_HEADER = 0


def check_waves(written: Path, wanted: Path) -> None:
    """Walks the blocks of an FST file: one type byte, a big-endian length that includes itself, contents."""
    size = written.stat().st_size
    at, first = 0, True
    with written.open("rb") as file:
        while at < size:
            file.seek(at)
            head = file.read(9)
            length = int.from_bytes(head[1:], "big")
            if len(head) < 9 or length < 8 or (first and head[0] != FST_HEADER):
                break
            at, first = at + 1 + length, False
    if first or at != size:
        raise InputError(
            f"cannot write {wanted}: the waves are incomplete, the disk is full",
            "free some space, or choose another place",
        )
