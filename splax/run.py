"""`splax run`: one run of the machine, with its console on this terminal and its files written whole."""

import json
import sys
import time
from contextlib import ExitStack
from typing import Any

from sim import boot, gdb_server, limits
from sim.build import versions
from sim.errors import InputError
from sim.machine import Checkpoint, Machine, Outcome, Reason, with_rvfi
from sim.output import finished_file, write_finished
from sim.terminal import Left, Terminal
from sim.trace import InstructionTrace

from .kernel import check_place, images
from .options import RunOptions, soc_config
from .progress import Progress

MOST_PENDING = 1 << 16
"""Bytes typed ahead of the machine before a pipe has to wait."""


def run(options: RunOptions) -> int:
    """Runs; gives the exit status."""
    config = soc_config(options)
    if options.trace:
        config = with_rvfi(config)
    progress = Progress()
    check_writable(options)
    check_images(options)
    with ExitStack() as stack:
        with progress.building() as report:
            machine = Machine(config, traced=options.wave is not None, latency=options.latency, report=report)
        stack.callback(machine.close)
        _load(machine, options)
        return _Session(machine, options, progress).run()


def check_writable(options: RunOptions) -> None:
    """A directory that is not there is said before the run, not after it."""
    for path in (options.stats, options.signature, options.trace, options.wave, options.checkpoint):
        check_place(path)


def check_images(options: RunOptions) -> None:
    """Images that are not there or do not fit are said before a simulator is built for them."""
    if options.elf:
        boot.bare_metal(options.ram, lambda chosen: bytes(1), options.elf)
    else:
        bios, kernel = images(options)
        given = {"bios": bios, "kernel": kernel, "initrd": options.initrd, "append": options.append}
        boot.virt(options.ram, lambda chosen: bytes(1), **given)


def _load(machine: Machine, options: RunOptions) -> None:
    if options.elf:
        machine.load_elf(options.elf)
    else:
        bios, kernel = images(options)
        machine.load_virt(bios=bios, kernel=kernel, initrd=options.initrd, append=options.append)
    if options.signature:
        for name in ("begin_signature", "end_signature"):
            machine.address(name)
    if options.restore:
        machine.restore(Checkpoint.load(options.restore))


class _Session:
    """One run from here to its end."""

    def __init__(self, machine: Machine, options: RunOptions, progress: Progress):
        self.machine, self.options, self.progress = machine, options, progress
        self.terminal = Terminal(machine.where)
        self.trace: InstructionTrace | None = None
        self.deadline = None if options.timeout is None else time.monotonic() + options.timeout
        self.last = None if options.max_cycles is None else machine.cycle + options.max_cycles

    def run(self) -> int:
        machine, options = self.machine, self.options
        outcome: Outcome | None = None
        status = 130
        with ExitStack() as files:
            if options.trace:
                self.trace = InstructionTrace(machine, files.enter_context(finished_file(options.trace)))
            with self.terminal, self.progress.running(machine, quiet=self.terminal.interactive):
                try:
                    machine.console.write(self.terminal.first_input())
                    outcome = self._stages()
                    status = outcome.status
                except Left as left:
                    status = left.status
                except KeyboardInterrupt:
                    status = 130
                self.terminal.write(machine.console.collect())
            if self.trace:
                self.trace.drain(ending=True)
        if outcome and outcome.reason in (Reason.CYCLES, Reason.TIME):
            print(f"splax: {limits.explain(machine, outcome)}", file=sys.stderr)
        self._write_results(outcome, status)
        self.progress.summary(machine)
        return status

    def _stages(self) -> Outcome:
        """Up to the waves' window, the window, and the rest."""
        options, machine = self.options, self.machine
        if options.gdb is not None:
            server = gdb_server.listen(options.gdb)
            print(f"splax: waiting: splax gdb --connect {options.gdb}", file=sys.stderr)
            try:
                ended = gdb_server.GdbServer(machine, server, self._slice).serve()
            except gdb_server.Killed:
                raise Left(130) from None
            if ended:
                return ended
        if options.wave:
            if machine.cycle < options.wave_from:
                outcome = self._advance(options.wave_from)
                if outcome.reason is not Reason.CYCLES or self._at_limit():
                    print("splax: the run ended before the waves' window: no waves written", file=sys.stderr)
                    return outcome
            leaving: BaseException | None = None
            with machine.waves(options.wave):
                try:
                    outcome = self._advance(options.wave_to)
                except (Left, KeyboardInterrupt) as error:
                    leaving = error  # the waves so far are worth keeping
            if leaving:
                raise leaving
            if outcome.reason is not Reason.CYCLES or self._at_limit():
                return outcome
        return self._advance(None)

    def _at_limit(self) -> bool:
        return self.last is not None and self.machine.cycle >= self.last

    def _advance(self, to_cycle: int | None) -> Outcome:
        """Runs to a cycle or to an end; a reset that software asks for starts the machine again."""
        machine = self.machine
        while True:
            ends = [cycle for cycle in (to_cycle, self.last) if cycle is not None]
            outcome = machine.run(
                cycles=max(0, min(ends) - machine.cycle) if ends else None,
                seconds=None if self.deadline is None else self.deadline - time.monotonic(),
                until=self.options.until,
                each_slice=self._slice,
            )
            if outcome.reason is not Reason.RESET:
                return outcome
            assert machine.layout
            machine.load(machine.layout)

    def _slice(self, printed: bytes) -> None:
        if self.trace:
            self.trace.drain()
        if printed:
            self.terminal.write(printed)
        if self.terminal.interactive or self.machine.console.pending < MOST_PENDING:
            self.machine.console.write(self.terminal.typed())
        self.progress.update(self.machine)

    def _write_results(self, outcome: Outcome | None, status: int) -> None:
        machine, options = self.machine, self.options
        if options.signature:
            write_finished(options.signature, signature(machine))
        if options.checkpoint:
            machine.checkpoint().save(options.checkpoint)
        if options.stats:
            ending = outcome.reason.name.lower() if outcome else "interrupted"
            result: dict[str, Any] = {"status": status, "ended_by": ending, **machine.statistics()}
            result["configuration"] = {
                "ram_bytes": options.ram,
                "clock_hz": options.clock,
                "memory_latency": options.latency,
            }
            result["versions"] = versions()
            write_finished(options.stats, json.dumps(result, indent=2) + "\n")


def signature(machine: Machine) -> str:
    """begin_signature..end_signature as 32-bit words in hexadecimal, one a line."""
    begin, end = machine.address("begin_signature"), machine.address("end_signature")
    if end < begin:
        raise InputError("end_signature lies before begin_signature", "correct the program's linker script")
    return hex_words(machine.memory.read(begin, end - begin))


def hex_words(data: bytes) -> str:
    """32-bit little-endian words in hexadecimal, one a line."""
    return "".join(f"{int.from_bytes(data[n : n + 4], 'little'):08x}\n" for n in range(0, len(data), 4))
