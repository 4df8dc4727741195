"""`splax build-kernel` and `splax qemu --arch`: the kernel from one command, and what bad input gets."""

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from kernel import iso
from kernel.services.description import SYSTEM

from .conftest import ROOT, Splax

PROGRAMS = {
    "riscv64": ("qemu-system-riscv64", "qemu-system-misc"),
    "x86_64": ("qemu-system-x86_64", "qemu-system-x86"),
    "aarch64": ("qemu-system-aarch64", "qemu-system-arm"),
}


@pytest.mark.parametrize("arch", PROGRAMS)
def test_the_kernel_boots_by_one_command(splax: Splax, arch: str) -> None:
    if shutil.which(PROGRAMS[arch][0]) is None:
        pytest.skip(f"install {PROGRAMS[arch][1]}")
    done = splax("qemu", "--arch", arch, "--append", "seven words", "--until", "seven words", "--timeout", "60")
    assert done.returncode == 0, done.stderr
    assert "\nSplax\n" in done.stdout.replace("\r", "")


@pytest.mark.parametrize("arch", PROGRAMS)
def test_build_kernel_writes_image_and_symbols_and_says_how_large(splax: Splax, arch: str, tmp_path: Path) -> None:
    done = splax("build-kernel", "--arch", arch, "--out", tmp_path / "kernel")
    assert done.returncode == 0, done.stderr
    assert f"{arch} kernel" in done.stdout and f"file {(tmp_path / 'kernel').stat().st_size}" in done.stdout
    assert (tmp_path / "kernel.elf").read_bytes()[:4] == b"\x7fELF"
    assert done.stdout.endswith(SYSTEM.report()), "who will hold what"
    assert re.search(r"^trap_from_user +\d+ +12288$", done.stdout, re.M) and " -> " not in done.stdout
    more = splax("build-kernel", "--arch", arch, "--verbose")
    assert re.search(r"^trap_from_user: \d+ of 12288 bytes of stack: trap_from_user \(\d+\) -> ", more.stdout, re.M)


def test_a_disc_image_is_written_for_x86_64_only(splax: Splax, tmp_path: Path) -> None:
    if iso.missing():
        pytest.skip(f"install {' '.join(iso.missing())}")
    out = tmp_path / "splax.iso"
    done = splax("build-kernel", "--arch", "x86_64", "--iso", out, "--append", "one")
    assert done.returncode == 0 and f"{out}: disc image for BIOS and UEFI, {out.stat().st_size} bytes" in done.stdout
    assert out.read_bytes()[0x8001:0x8006] == b"CD001"
    absent = splax("build-kernel", "--arch", "x86_64", "--iso", out, env={"PATH": str(tmp_path)})
    assert absent.returncode == 2 and "apt-get install grub-common" in absent.stderr
    assert not absent.stdout, "it is said before the kernel is built"
    refused = splax("build-kernel", "--arch", "aarch64", "--iso", out)
    assert refused.returncode == 2 and "--iso is for x86_64, not aarch64" in refused.stderr


def test_an_unknown_architecture_is_refused(splax: Splax) -> None:
    for command in ("build-kernel", "qemu"):
        done = splax(command, "--arch", "sparc")
        assert done.returncode == 2
        assert done.stderr == "splax: error: unknown architecture 'sparc'; use one of riscv64, x86_64, aarch64\n"


def test_a_place_that_cannot_be_written_is_refused(splax: Splax, tmp_path: Path) -> None:
    done = splax("build-kernel", "--arch", "riscv64", "--out", tmp_path / "no" / "kernel")
    assert done.returncode == 2 and f"there is no directory {tmp_path / 'no'}" in done.stderr
    done = splax("build-kernel", "--arch", "riscv64", "--out", tmp_path)
    assert done.returncode == 2 and "is a directory" in done.stderr


@pytest.mark.parametrize("arch", PROGRAMS)
def test_a_missing_qemu_is_named_with_its_package(splax: Splax, arch: str, tmp_path: Path) -> None:
    done = splax("qemu", "--arch", arch, env={"PATH": str(tmp_path)})
    assert done.returncode == 2
    assert f"apt-get install {PROGRAMS[arch][1]}" in done.stderr


@pytest.mark.parametrize("option", ["--elf", "--signature"])
def test_options_for_bare_metal_riscv_programs_are_refused_elsewhere(splax: Splax, option: str) -> None:
    more = ("--elf", "y") if option == "--signature" else ()
    done = splax("qemu", "--arch", "aarch64", option, "x", *more)
    assert done.returncode == 2 and "--arch aarch64" in done.stderr


def test_places_and_images_are_refused_before_anything_is_built(splax: Splax, tmp_path: Path) -> None:
    """Nothing is written beside a place that cannot be, and no simulator is compiled for an image that is not there."""
    for option in ("--out", "--elf"):
        done = splax("build-firmware", option, tmp_path / "no" / "fw")
        assert done.returncode == 2 and f"there is no directory {tmp_path / 'no'}" in done.stderr
        done = splax("build-firmware", option, tmp_path)
        assert done.returncode == 2 and "is a directory" in done.stderr
    assert not list(tmp_path.parent.glob("*.new"))
    done = splax("run", "--bios", "uefi", env=os.environ | {"SPLAX_CACHE": str(tmp_path / "cache")})
    assert done.returncode == 2 and "cannot read firmware uefi" in done.stderr and "building" not in done.stderr
    done = splax("build-kernel", "--arch", "riscv64", "--iso", tmp_path / "x.iso")
    assert done.returncode == 2 and "--iso is for x86_64" in done.stderr and not done.stdout


@pytest.mark.parametrize("terminal", [True, False], ids=["terminal", "pipe"])
def test_a_build_says_what_it_does_and_an_interrupted_one_leaves_nothing(terminal: bool, tmp_path: Path) -> None:
    """On a terminal a line that lives, and ^C for all in front; elsewhere plain lines, and a signal for one process."""
    reader, writer = os.openpty() if terminal else os.pipe()
    cache, out = tmp_path / "cache", tmp_path / "kernel"
    command = [sys.executable, "-m", "splax", "build-kernel", "--arch", "riscv64", "--out", str(out)]
    environment = os.environ | {"SPLAX_CACHE": str(cache), "TERM": "xterm", "COLUMNS": "120"}
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=writer,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # A shell's `&` leaves it ignored.
    ) as process:
        os.close(writer)
        said = b""
        while b"parts done, now kernel" not in said:
            said += os.read(reader, 4096)
        if terminal:
            os.killpg(process.pid, signal.SIGINT)
        else:
            process.send_signal(signal.SIGINT)
        while more := _rest(reader):
            said += more
        assert process.wait() == 130
    expected = (
        b"building the riscv64 kernel (once): " if terminal else b"splax: building the riscv64 kernel: reading the"
    )
    assert expected in said and b"Traceback" not in said
    left = [path for path in cache.rglob("*") if path.is_dir() and path.name.startswith("tmp")]
    assert not left and not (cache / "kernel" / "image-riscv64").exists() and not list(tmp_path.glob("kernel*"))


def _rest(reader: int) -> bytes:
    try:
        return os.read(reader, 4096)
    except OSError:  # a terminal without anyone at its other end
        return b""
