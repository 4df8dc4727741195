"""What a build made, kept with the hashes of everything that went into it, so that a warm build imports no compiler.

A directory holds the outputs and manifest.json: the hash of every output, of every file of the project that the build
imported, and of its tools. While all of them are what they were, the outputs are what a build would make; anything
else, a damaged file as well, is made again. A build is a process of its own: what it imported is what it depends on.
A source that changed meanwhile may have been read before or after, so that the build is made again.
"""

import hashlib
import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
VERSION = "3"  # of the manifest's form
ATTEMPTS = 5  # at a build whose sources change meanwhile


class BuildError(RuntimeError):
    """A build failed; the message is what it said."""


def directory(name: str) -> Path:
    """Where the build called `name` keeps what it made: under $SPLAX_CACHE, or build/cache in the project."""
    return Path(os.environ.get("SPLAX_CACHE", ROOT / "build" / "cache")) / "kernel" / name


def built(
    place: Path, module: str, heard: Callable[[str], None] = lambda step: None, **environment: str
) -> tuple[dict[str, Any], bool]:
    """(the facts that the build noted, whether they were there already).

    `module` has a function `child` that builds: it calls `keep`. `heard` gets each line that it prints, by `report`.
    `environment` is added to this process's. An interrupt ends the build too, before it goes on.
    """
    if (known := intact(place)) is not None:
        return known, True
    for _ in range(ATTEMPTS):
        _build(module, heard, environment)
        if (made := intact(place)) is not None:
            return made, False
        heard("a source changed meanwhile: building again")
    raise BuildError(f"what was built is not what is in {place}, or sources changed in each of {ATTEMPTS} builds")


def _build(module: str, heard: Callable[[str], None], environment: dict[str, str]) -> None:
    """Runs the process of a build to its end."""
    variables = os.environ | {"PYTHONPATH": str(ROOT)} | environment
    command = [sys.executable, "-c", f"from kernel.manifest import run; run({module!r})"]
    with tempfile.TemporaryFile("w+") as errors:
        with subprocess.Popen(
            command, cwd=ROOT, env=variables, stdout=subprocess.PIPE, stderr=errors, text=True
        ) as child:
            assert child.stdout
            try:
                for line in child.stdout:
                    heard(line.rstrip("\n"))
            except KeyboardInterrupt:
                child.send_signal(signal.SIGINT)  # It may not have come from the terminal, which tells both.
                child.wait()
                raise
        if child.returncode:
            errors.seek(0)
            raise BuildError(errors.read().strip() or f"it ended with status {child.returncode}")


def run(module: str) -> None:
    """The process of a build. For a file that is no Python, the place in it is all that needs to be said."""
    _before.update(_stamps())
    try:
        importlib.import_module(module).child()
    except SyntaxError as error:
        sys.exit("".join(traceback.format_exception_only(error)))


def report(step: str) -> None:
    """Called by a build: says what it does."""
    print(step, flush=True)


def keep(place: Path, outputs: Sequence[str], make: Callable[[Path], dict[str, Any]]) -> None:
    """Called by a build: `make` writes `outputs` into the directory that it is given, and returns facts for JSON."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=place.parent) as scratch:
        facts = make(Path(scratch))
        manifest = {
            "version": VERSION,
            "tools": _tools(),
            "facts": facts,
            "outputs": {name: _digest(Path(scratch, name)) for name in outputs},
            "sources": {path.relative_to(ROOT).as_posix(): _digest_of_source(path) for path in _sources()},
        }
        place.mkdir(exist_ok=True)
        for name in outputs:
            os.replace(Path(scratch, name), place / name)
        fresh = Path(scratch, "manifest.json")
        fresh.write_text(json.dumps(manifest, indent=1))
        os.replace(fresh, place / "manifest.json")


def copy(source: Path, target: Path) -> None:
    """Copies a file, whole or not at all."""
    fresh = target.with_name(target.name + ".new")
    try:
        shutil.copyfile(source, fresh)
        os.replace(fresh, target)
    finally:
        fresh.unlink(missing_ok=True)


def intact(place: Path) -> dict[str, Any] | None:
    """The facts that the build noted, if all that its manifest names is as it says; else None: it is built again."""
    try:
        manifest = json.loads((place / "manifest.json").read_text())
        if manifest["version"] != VERSION or manifest["tools"] != _tools() or not manifest["outputs"]:
            return None
        files = [(ROOT / name, digest) for name, digest in manifest["sources"].items()]
        files += [(place / name, digest) for name, digest in manifest["outputs"].items()]
        return manifest["facts"] if all(_digest(path) == digest for path, digest in files) else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _stamps() -> dict[Path, int]:
    """When each of the project's sources was last changed, in ticks that are only good for comparing."""
    found: dict[Path, int] = {}
    for folder, below, files in os.walk(ROOT):
        below[:] = [name for name in below if name[0] != "." and name not in ("build", "tests")]
        paths = [Path(folder, name) for name in files if name.endswith((".py", ".h", ".c"))]
        found |= {path: path.stat().st_ctime_ns for path in paths}
    return found


_before: dict[Path, int] = {}  # `_stamps` as the build began


def _digest_of_source(path: Path) -> str:
    return _digest(path) if _before.get(path) == path.stat().st_ctime_ns else "changed meanwhile"


def _tools() -> str:
    """What else decides the output: Python, and the pinned compiler (its wheel's record changes with its version)."""
    found = sorted(path.name for path in Path(sys.prefix).glob("lib/python*/site-packages/ziglang-*.dist-info"))
    return f"{sys.version} {found}"


def _sources() -> list[Path]:
    """The project's files that this process imported, and the headers that C includes."""
    found = {Path(f).resolve() for m in list(sys.modules.values()) if (f := getattr(m, "__file__", None))}
    found |= {path.resolve() for form in ("*.h", "*.c") for path in (ROOT / "kernel").rglob(form)}
    return sorted(path for path in found if path.is_relative_to(ROOT) and ".venv" not in path.parts)
