"""`splax qemu`: the same forms, and the same results as `splax run`."""

import shutil
from pathlib import Path

import pytest

from .bare_metal import EXIT, FINISH, HELLO, LOOP, SIGNATURE, SYSTEM_CALLS, assemble
from .conftest import Splax

pytestmark = pytest.mark.skipif(shutil.which("qemu-system-riscv64") is None, reason="QEMU is not installed")


@pytest.mark.parametrize(
    ("source", "status", "text"),
    [
        (HELLO, 0, "hello\n"),
        (EXIT.format(value=2 * 42 + 1), 42, ""),
        (FINISH.format(value=0x5555), 0, ""),
        (FINISH.format(value=7 << 16 | 0x3333), 7, ""),
        (SYSTEM_CALLS, 12, "by the host\n"),
    ],
)
def test_programs_end_as_on_the_hardware(splax: Splax, tmp_path: Path, source: str, status: int, text: str) -> None:
    done = splax("qemu", "--elf", assemble(tmp_path, source), "--timeout", "60")
    assert (done.returncode, done.stdout) == (status, text), done.stderr


def test_signature(splax: Splax, tmp_path: Path) -> None:
    program = assemble(tmp_path, SIGNATURE)
    done = splax("qemu", "--elf", program, "--signature", tmp_path / "signature", "--timeout", "60")
    assert done.returncode == 0
    assert (tmp_path / "signature").read_text() == "11223344\ndeadbeef\n00000003\n00000004\n"


def test_time_limit(splax: Splax, tmp_path: Path) -> None:
    done = splax("qemu", "--elf", assemble(tmp_path, LOOP), "--timeout", "1")
    assert done.returncode == 124
    assert "time limit" in done.stderr


def test_until(splax: Splax) -> None:
    done = splax("qemu", "--bios", "opensbi", "--until", "Firmware Base", "--timeout", "60")
    assert done.returncode == 0
    assert done.stdout.endswith("Firmware Base")


def test_what_the_twin_lacks_is_refused(splax: Splax, tmp_path: Path) -> None:
    done = splax("qemu", "--elf", assemble(tmp_path, LOOP), "--trace", tmp_path / "trace")
    assert done.returncode == 2
    assert "splax run" in done.stderr
