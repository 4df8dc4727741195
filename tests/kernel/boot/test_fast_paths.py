"""The messages that cost most go the fast paths, on every architecture: QEMU says which code ran."""

import re
from collections import Counter

import pytest
from elftools.elf.elffile import ELFFile

from kernel import image

from .machine import Machine
from .test_hostile import ICOUNT
from .test_services import MACHINES

FEW, MORE = 20, 320
"""Rounds: beside them, what the services do at their own times does not count."""
A_ROUND = {
    "fast_call": 3,
    "fast_call_granting": 1,
    "fast_reply_receive": 1,
    "fast_notify": 2,  # one with nobody waiting
    "fast_channel_send": 1,
    "fast_channel_receive": 1,
}
"""How often a round of ipcbench enters each."""
COMPLETE = {"riscv64": ("trap_call_from_user", 10), "x86_64": ("trap_from_user", 11), "aarch64": ("trap_from_user", 11)}
"""Where the complete path begins, and how often a round does: for calls that wait, and for NULL where that has no path
of its own."""


def entered(arch, rounds, log) -> Counter[str]:
    """How often each of these functions ran, in a boot that measures messages."""
    built = image.build(arch)
    with built.elf.open("rb") as file:
        symbols = {s.name: s["st_value"] for s in ELFFile(file).get_section_by_name(".symtab").iter_symbols()}
    watched = {symbols[name]: name for name in (*A_ROUND, COMPLETE[arch][0])}
    places = ",".join(f"{address:#x}+1" for address in watched)
    trace = ["-d", "exec,nochain", "-D", str(log), "-dfilter", places]
    with Machine([*MACHINES[arch], *ICOUNT, *trace, "-kernel", str(built.path)]) as m:
        m.expect("splax> ", 60)
        m.send(f"ipcbench {rounds}\r")
        m.expect("ipcbench ended with 0", 60)
        m.send("shutdown\r")
        m.wait(20)
    ran = re.findall(r"^Trace .*\[[0-9a-f]+/([0-9a-f]+)/", log.read_text(), re.M)
    return Counter(watched[int(address, 16)] for address in ran if int(address, 16) in watched)


@pytest.mark.parametrize("arch", image.USER_MODE)
def test_messages_go_the_fast_paths(arch, tmp_path):
    few, more = (entered(arch, rounds, tmp_path / str(rounds)) for rounds in (FEW, MORE))
    complete, often = COMPLETE[arch]
    found = {name: round((more[name] - few[name]) / (MORE - FEW)) for name in (*A_ROUND, complete)}
    assert found == A_ROUND | {complete: often}
