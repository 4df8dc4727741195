"""gdb on the kernel: it stops at a line of a .py file, and shows that file, the callers and the values of locals, on
QEMU.
"""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "kernel" / "printing.py"
LINE_TEXT = "        digits[count] = 48 + trunc(rest % 10, u8)"
SECONDS = 300
COMMANDS = ("continue", "info line", "bt 3", "print rest", "print count", "list", "next", "next", "print count")


def line_number() -> int:
    """Where put_decimal makes a digit."""
    return SOURCE.read_text().splitlines().index(LINE_TEXT) + 1


def splax(*arguments: str, **options):
    return subprocess.Popen([sys.executable, "-m", "splax", *arguments], cwd=ROOT, **options)


def session(command: str, directory: Path) -> str:
    """What gdb says, attached to `splax COMMAND` with our firmware and kernel."""
    if not shutil.which("gdb-multiarch"):
        pytest.skip("gdb is missing: apt-get install gdb-multiarch")
    from kernel.image import build

    at = directory / "gdb"
    arguments = [command, "--bios", "splax", "--kernel", str(build("riscv64").path), "--gdb", str(at)]
    with splax(*arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as machine:
        try:
            end = time.monotonic() + SECONDS
            while not at.is_socket() and time.monotonic() < end and machine.poll() is None:
                time.sleep(0.1)
            gdb = ["gdb", "--connect", str(at), "-nx", "-batch", "-ex", f"break kernel/printing.py:{line_number()}"]
            gdb += [part for text in (*COMMANDS, "kill") for part in ("-ex", text)]
            with splax(
                *gdb, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=os.environ | {"COLUMNS": "500"}
            ) as run:
                said = run.communicate(timeout=SECONDS)[0].decode()
        finally:
            machine.kill()
    print(said)
    return said


def check(said: str) -> None:
    """At the line, with the source, the callers and the values: the kernel prints the number of processors, 1."""
    number = line_number()
    assert "put_decimal (value=" in said and f"at kernel/printing.py:{number}" in said
    assert f"{number}\t{LINE_TEXT}" in said
    banner = (ROOT / "kernel" / "banner.py").read_text().splitlines()
    caller = next(n for n, line in enumerate(banner, 1) if "put_decimal(u64(info.cpu_count))" in line)
    assert "kernel_banner__banner (info=" in said and f"at kernel/banner.py:{caller}" in said
    assert "kernel_main__kernel_main" in said
    values = [line.split(" = ")[1] for line in said.splitlines() if line.startswith("$")]
    assert values[:2] == ["1", "0"], "rest and count in the first round"


def test_gdb_shows_kernel_python_on_qemu(tmp_path):
    check(session("qemu", tmp_path))


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (
            ("gdb", "--connect", "/nowhere"),
            "--connect /nowhere: there is no such socket; start the machine with --gdb first",
        ),
        (("gdb", "--connect", "70000"), "--connect 70000 is not a port"),
        (("gdb", "--arch", "vax", "--connect", "1"), "unknown architecture 'vax'"),
        (("gdb", "--elf", "/nowhere", "--connect", "1"), "/nowhere is not there"),
        (("qemu", "--gdb", "0"), "--gdb 0 is not a port"),
        (("run", "--gdb", "1", "--trace", "t"), "no --trace and no --wave with it"),
    ],
    ids=["socket", "port", "arch", "elf", "port0", "trace"],
)
def test_a_bad_debugger_option_is_one_line(arguments, error):
    with splax(*arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as run:
        said = run.communicate(timeout=SECONDS)[0].decode()
    assert run.returncode == 2 and error in said and said.count("\n") == 1, said


def test_a_missing_gdb_is_named_with_its_package(tmp_path):
    environment = {"PATH": str(tmp_path), "PYTHONPATH": str(ROOT), "HOME": str(tmp_path)}
    with splax("gdb", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment) as run:
        said = run.communicate(timeout=SECONDS)[0].decode()
    assert run.returncode == 2 and "apt-get install gdb-multiarch" in said
