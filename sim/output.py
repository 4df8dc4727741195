"""Files that are there whole or not at all."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from .errors import InputError


@contextmanager
def finished_file(path: Path, *, by_name: bool = False) -> Iterator[Any]:
    """A binary file to write, put in place when the block ends well and gone when it does not.

    `by_name` gives the temporary file's path instead, for those who open files themselves. What is no regular file (a
    pipe, a device) is written directly. Failures of writing become InputError.
    """
    in_place = not path.exists() or path.is_file()
    if not in_place and not by_name:
        with _failures_named(path), path.open("wb") as file:
            yield file
        return
    with _failures_named(path):
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent if in_place else None)
    temporary = Path(name)
    try:
        with _failures_named(path):
            with os.fdopen(descriptor, "wb") as file:
                yield temporary if by_name else file
            if in_place:
                mask = os.umask(0)
                os.umask(mask)
                temporary.chmod(0o666 & ~mask)
                temporary.replace(path)
            else:
                with temporary.open("rb") as reader, path.open("wb") as writer:
                    shutil.copyfileobj(reader, writer)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def _failures_named(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(f"cannot write {path}: {reason}", "free some space, or choose another place") from error


def write_finished(path: Path, text: str) -> None:
    """A whole text file at once."""
    file: IO[bytes]
    with finished_file(path) as file:
        file.write(text.encode())
