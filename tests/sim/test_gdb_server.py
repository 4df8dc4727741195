"""The stub for gdb, packet by packet, on the stub SoC."""

import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from sim.gdb_server import GdbServer, Killed, listen
from sim.machine import Machine

from .conftest import MakeMachine
from .stub import BASE, Op, program, text

Dialogue = Callable[["Gdb"], None]


class Gdb:
    """gdb's side of the connection."""

    def __init__(self, path: Path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(60)
        self.socket.connect(str(path))
        self.data = b""

    def send(self, packet: str) -> None:
        self.socket.sendall(f"${packet}#{sum(packet.encode()) & 0xFF:02x}".encode())

    def answer(self) -> str:
        """The next packet, its checksum verified."""
        while True:
            start, end = self.data.find(b"$"), self.data.find(b"#")
            if 0 <= start < end and len(self.data) >= end + 3:
                packet, check = self.data[start + 1 : end], self.data[end + 1 : end + 3]
                assert int(check, 16) == sum(packet) & 0xFF
                self.data = self.data[end + 3 :]
                return packet.decode()
            received = self.socket.recv(4096)
            assert received, "the stub hung up"
            self.data += received

    def ask(self, packet: str) -> str:
        self.send(packet)
        return self.answer()


def serve(machine: Machine, directory: Path, dialogue: Dialogue):
    """What `GdbServer.serve` gives for a dialogue; an error in the dialogue is raised here."""
    path = directory / "gdb"
    server = listen(str(path))
    failed: list[BaseException] = []

    def talk() -> None:
        gdb = Gdb(path)
        try:
            dialogue(gdb)
        except BaseException as error:
            failed.append(error)
        finally:
            gdb.socket.close()

    thread = threading.Thread(target=talk)
    thread.start()
    try:
        return GdbServer(machine, server, lambda printed: None).serve()
    finally:
        thread.join()
        if failed:
            raise failed[0]


def pc(gdb: Gdb) -> int:
    return int.from_bytes(bytes.fromhex(gdb.ask("p20")), "little")


def test_steps_and_breakpoints_stop_before_the_instruction(stub_machine: MakeMachine, tmp_path: Path) -> None:
    machine = stub_machine(program(*text("abcd"), (Op.FINISH, 7)))

    def dialogue(gdb: Gdb) -> None:
        assert gdb.ask("?") == "S05" and pc(gdb) == BASE
        assert gdb.ask("vCont;s:1") == "S05" and pc(gdb) == BASE + 8
        assert gdb.ask(f"Z0,{BASE + 24:x},4") == "OK"
        assert gdb.ask("vCont;c") == "S05" and pc(gdb) == BASE + 24
        assert gdb.ask(f"z0,{BASE + 24:x},4") == "OK"
        assert gdb.ask("vCont;c") == "W07"

    outcome = serve(machine, tmp_path, dialogue)
    assert outcome is not None and outcome.status == 7
    assert machine.console.read() == b"abcd"


def test_ctrl_c_stops_at_an_instruction(stub_machine: MakeMachine, tmp_path: Path) -> None:
    machine = stub_machine(program((Op.JUMP, BASE)))

    def dialogue(gdb: Gdb) -> None:
        gdb.send("vCont;c")
        gdb.socket.sendall(b"\x03")
        assert gdb.answer() == "S02" and pc(gdb) == BASE
        assert gdb.ask("D") == "OK"

    assert serve(machine, tmp_path, dialogue) is None


@pytest.mark.parametrize("running", [False, True])
def test_a_gdb_that_goes_without_a_word_leaves_the_machine_running(
    running: bool, stub_machine: MakeMachine, tmp_path: Path
) -> None:
    machine = stub_machine(program((Op.JUMP, BASE)))

    def dialogue(gdb: Gdb) -> None:
        assert gdb.ask("?") == "S05"
        if running:
            gdb.send("vCont;c")

    assert serve(machine, tmp_path, dialogue) is None
    assert machine.run(cycles=1000).status == 124


def test_kill_ends_the_machine(stub_machine: MakeMachine, tmp_path: Path) -> None:
    machine = stub_machine(program((Op.JUMP, BASE)))
    with pytest.raises(Killed):
        serve(machine, tmp_path, lambda gdb: gdb.send("k"))


def test_memory_and_csrs_are_shown_and_what_cannot_be_done_is_refused(
    stub_machine: MakeMachine, tmp_path: Path
) -> None:
    machine = stub_machine(program((Op.JUMP, BASE)))
    machine.memory.write(BASE + 0x1000, b"splax")

    def dialogue(gdb: Gdb) -> None:
        assert bytes.fromhex(gdb.ask(f"m{BASE + 0x1000:x},5")) == b"splax"
        assert gdb.ask("m10,4") == "E01"
        assert gdb.ask("P0=0").startswith("E.registers cannot be set")
        assert gdb.ask(f"M{BASE:x},1:00").startswith("E.memory cannot be set")
        assert gdb.ask("vMustReplyEmpty") == ""
        xml, part = "", "m"
        while part.startswith("m"):
            part = gdb.ask(f"qXfer:features:read:target.xml:{len(xml):x},400")
            xml += part[1:]
        assert part.startswith("l") and xml.count("<reg ") > 50 and 'name="satp"' in xml and xml.endswith("</target>")
        assert b"cycle " in bytes.fromhex(gdb.ask("qRcmd,78"))

    serve(machine, tmp_path, dialogue)
