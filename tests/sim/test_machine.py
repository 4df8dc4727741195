"""The machine's services on the stub SoC: stops, console, memory, checkpoints, determinism."""

import random
from pathlib import Path

import pytest

from rtl.soc import SocConfig
from sim.errors import CheckpointError, InputError
from sim.machine import Checkpoint, Machine, Reason, exit_status

from .conftest import MakeMachine
from .stub import BASE, Op, program, text

DATA = BASE + 0x10000


def test_console_text_arrives_and_finisher_ends_with_its_code(stub_machine: MakeMachine) -> None:
    machine = stub_machine(program(*text("hello\n"), (Op.FINISH, 7)))
    outcome = machine.run(cycles=10_000)
    assert (outcome.reason, outcome.status) == (Reason.FINISH, 7)
    assert machine.console.read() == b"hello\n"


def test_failure_code_never_becomes_success() -> None:
    assert [exit_status(code) for code in (0, 1, 255, 256, 0x1234)] == [0, 1, 255, 1, 0x34]


def test_until_stops_in_the_cycle_after_the_last_character(stub_machine: MakeMachine) -> None:
    code = program(*text("aab aaab!"), (Op.FINISH, 1))
    machine = stub_machine(code)
    outcome = machine.run(until="aaab", cycles=10_000)
    assert outcome.reason is Reason.TEXT
    assert machine.console.read() == b"aab aaab"
    assert machine.run(cycles=10_000).reason is Reason.FINISH


def test_what_has_matched_of_the_text_is_part_of_a_checkpoint(stub_machine: MakeMachine) -> None:
    machine = stub_machine(program(*text("hello hello! lo!"), (Op.FINISH, 1)))
    said = b""
    while b"hello hel" not in said:
        assert machine.run(until="hello hello!", cycles=1).reason is Reason.CYCLES
        said += machine.console.read()
    saved = machine.checkpoint()
    for wanted, rest in (("lo!", b"lo!"), ("lo!", b"lo!"), ("hello hello!", b"lo!")):
        assert machine.run(until=wanted, cycles=10_000).reason is Reason.TEXT
        assert machine.console.read() == rest
        machine.restore(saved)


def test_cycle_limit_is_exact(stub_machine: MakeMachine) -> None:
    machine = stub_machine(program((Op.JUMP, BASE)))
    outcome = machine.run(cycles=12_345)
    assert (outcome.reason, outcome.status, machine.cycle) == (Reason.CYCLES, 124, 12_345)


def test_time_limit_ends_an_endless_loop(stub_machine: MakeMachine) -> None:
    machine = stub_machine(program((Op.JUMP, BASE)))
    assert machine.run(seconds=0.1).reason is Reason.TIME


def test_stop_address_holds_before_the_instruction_and_resumes(stub_machine: MakeMachine) -> None:
    machine = stub_machine(program(*text("ab"), (Op.JUMP, BASE)))
    for turn in range(1, 4):
        outcome = machine.run(addresses=[BASE + 8], cycles=10_000)
        assert outcome.reason is Reason.ADDRESS
        assert machine.status.pc == BASE + 8
        assert machine.status.instructions == 3 * turn - 2


def test_steps_stop_at_each_instruction(stub_machine: MakeMachine) -> None:
    machine = stub_machine(program(*text("ab"), (Op.JUMP, BASE)))
    seen = []
    for _ in range(5):
        assert machine.run(step=True, cycles=1000).reason is Reason.STEP
        seen.append((machine.status.pc - BASE, machine.status.instructions))
    assert seen == [(0, 0), (8, 1), (16, 2), (0, 3), (8, 4)]


def test_condition_is_asked(stub_machine: MakeMachine) -> None:
    machine = stub_machine(program((Op.JUMP, BASE)))
    outcome = machine.run(condition=lambda machine: machine.cycle > 50_000)
    assert outcome.reason is Reason.CONDITION
    assert machine.cycle > 50_000


def test_typed_bytes_arrive_in_order(stub_machine: MakeMachine) -> None:
    machine = stub_machine(program((Op.ECHO, 0), (Op.JUMP, BASE)))
    sent = bytes(random.Random(1).randrange(256) for _ in range(500))
    machine.console.write(sent)
    machine.run(cycles=50_000)
    assert machine.console.read() == sent
    assert machine.console.pending == 0


def test_memory_shows_stores_and_bursts(stub_machine: MakeMachine) -> None:
    line = bytes(range(64))
    code = program(
        (Op.STORE, DATA, 0x1122334455667788),
        (Op.EXPECT, DATA, 0x1122334455667788),
        (Op.COPY, DATA + 64, DATA + 128),
        (Op.EXPECT, DATA + 128 + 56, int.from_bytes(line[56:], "little")),
        (Op.FINISH, 0),
    )
    machine = stub_machine(code)
    machine.memory.write(DATA + 64, line)
    assert machine.run(cycles=10_000).status == 0
    assert machine.memory.read_word(DATA) == 0x1122334455667788
    assert machine.memory.read(DATA + 128, 64) == line
    machine.memory.write(DATA, b"\x55")
    assert machine.memory.read_word(DATA) == 0x1122334455667755


def test_reads_behind_ram_are_refused(stub_machine: MakeMachine) -> None:
    machine = stub_machine(b"\0")
    with pytest.raises(InputError, match="0x81000000"):
        machine.memory.read(BASE + (16 << 20), 1)
    with pytest.raises(InputError, match="not in RAM"):
        machine.memory.write(BASE - 8, b"12345678")


def test_latency_is_the_cycles_to_the_first_beat(stub_machine: MakeMachine) -> None:
    code = program((Op.EXPECT, DATA, 0), (Op.FINISH, 0))
    cycles = []
    for latency in (10, 30):
        machine = stub_machine(code, latency=latency)
        machine.run(cycles=10_000)
        cycles.append(machine.cycle)
    reads = 4  # two words of the first command, its data, the second command
    assert cycles[1] - cycles[0] == 20 * reads


def test_runs_are_identical_to_the_cycle_whatever_the_slices(stub_machine: MakeMachine) -> None:
    code = program(*text("deterministic\n"), (Op.COPY, BASE, DATA), (Op.WAIT, 1000), (Op.FINISH, 3))
    first = stub_machine(code)
    first.run()
    second = stub_machine(code)
    generator = random.Random(2)
    while second.run(cycles=generator.randrange(1, 40)).reason is Reason.CYCLES:
        pass
    assert (first.cycle, first.status.instructions) == (second.cycle, second.status.instructions)
    assert bytes(first.console.output) == bytes(second.console.output)


def test_checkpoint_returns_to_the_same_cycle_and_state(stub_machine: MakeMachine, here: Path) -> None:
    """Taken at random cycles, also within bursts; through memory and through a file."""
    seed = 3
    print(f"seed {seed}")
    generator = random.Random(seed)
    code = program(
        (Op.COPY, BASE, DATA),
        (Op.STORE, DATA + 8, 42),
        *text("x"),
        (Op.COPY, DATA, DATA + 64),
        (Op.EXPECT, DATA + 72, 42),
        (Op.ECHO, 0),
        (Op.FINISH, 5),
    )
    machine = stub_machine(code)
    machine.console.write(b"y")
    machine.run()
    end = (machine.cycle, machine.status.instructions, machine.memory.read(DATA, 256))
    for turn in range(8):
        machine = stub_machine(code)
        machine.console.write(b"y")
        machine.run(cycles=generator.randrange(1, end[0]))
        saved = machine.checkpoint()
        if turn % 2:
            saved.save(here / "checkpoint")
            saved = Checkpoint.load(here / "checkpoint")
        machine.run()
        machine.memory.write(DATA, bytes(256))
        machine.restore(saved)
        assert machine.cycle == saved.cycle
        assert machine.run().status == 5
        assert (machine.cycle, machine.status.instructions, machine.memory.read(DATA, 256)) == end


def test_checkpoint_of_another_machine_is_refused(stub_machine: MakeMachine, here: Path) -> None:
    machine = stub_machine(program((Op.FINISH, 0)))
    other = stub_machine(program((Op.FINISH, 0)), config=SocConfig(ram_bytes=32 << 20))
    with pytest.raises(CheckpointError, match="32 MiB"):
        other.restore(machine.checkpoint())
    machine.checkpoint().save(here / "checkpoint")
    data = (here / "checkpoint").read_bytes()
    (here / "checkpoint").write_bytes(data[: len(data) // 2])
    with pytest.raises(CheckpointError, match="truncated"):
        Checkpoint.load(here / "checkpoint")


def test_statistics_count_cycles_and_instructions(stub_machine: MakeMachine) -> None:
    machine = stub_machine(program(*text("ab"), (Op.FINISH, 0)))
    machine.run()
    statistics = machine.statistics()
    assert statistics["cycles"] == machine.cycle
    assert statistics["instructions"] in (2, 3)
    assert statistics["counters"]["dcache_miss"] == 0
    assert statistics["dram_read_bytes"] >= 3 * 8


def test_large_ram_costs_nothing_until_used(stub_machine: MakeMachine) -> None:
    machine = stub_machine(program((Op.FINISH, 0)), config=SocConfig(ram_bytes=8 << 30))
    machine.memory.write(BASE + (8 << 30) - 8, b"the end!")
    assert len(machine.checkpoint().state) < 1 << 20
    assert isinstance(machine, Machine)
