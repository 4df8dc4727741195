"""Random programs in lockstep with QEMU.

    python -m tests.lockstep --instructions 10000000 --seed 1     a long regression: programs of seeds 1, 2, 3, ...
    python -m tests.lockstep --replay build/lockstep/failed-17    one failing program again, as it was minimised

A failing program is minimised and kept in build/lockstep/failed-SEED: program.elf, program.lst, report.txt (the
difference with what led to it), and `without` (what the minimiser left out).
"""

import argparse
import json
import os
import shutil
import sys
import time
from dataclasses import asdict
from pathlib import Path

from tests.lockstep.compare import BUILD
from tests.lockstep.generator import Keep, Shape
from tests.lockstep.minimise import minimise, read_keep, write_keep
from tests.lockstep.run import DEVICES, STAND_IN_TICKS, Device, Run, run


def first_line(report: str) -> str:
    return report.splitlines()[0] if report else "no report"


def keep_failure(seed: int, shape: Shape, device: Device, first: Run, *, shrink: bool) -> Path:
    """Minimises a failing program and keeps it; returns its folder."""
    folder = BUILD / f"failed-{seed}"
    shutil.rmtree(folder, ignore_errors=True)
    keep = Keep()
    if shrink:
        attempts = 0

        def fails(candidate: Keep) -> bool:
            nonlocal attempts
            attempts += 1
            return not run(seed, shape, candidate, device).result.equal

        keep = minimise(seed, shape, fails)
        print(f"  minimised in {attempts} runs")
    final = run(seed, shape, keep, device, folder)
    (folder / "without").write_text(write_keep(keep))
    (folder / "shape.json").write_text(json.dumps({"seed": seed, **asdict(shape)}))
    if final.result.equal:
        (folder / "report.txt").write_text("The minimised program does not fail again.\n" + first.result.report)
    return folder


def regression(args: argparse.Namespace) -> int:
    """Programs of successive seeds until enough instructions are compared."""
    device = DEVICES[args.device]
    shape = Shape() if args.device == "rtl" else Shape(ticks=STAND_IN_TICKS)
    started, instructions, interrupts, programs, failures = time.monotonic(), 0, 0, 0, 0
    seed = args.seed
    while instructions < args.instructions and failures < args.failures:
        outcome = run(seed, shape, Keep(), device)
        programs += 1
        if outcome.result.equal:
            instructions += outcome.result.instructions
            interrupts += outcome.result.interrupts
            if args.verbose:
                print(f"seed {seed}: {outcome.result.report.strip()}", flush=True)
        else:
            failures += 1
            print(f"seed {seed} FAILS: {first_line(outcome.result.report)}", flush=True)
            folder = keep_failure(seed, shape, device, outcome, shrink=not args.no_minimise)
            print((folder / "report.txt").read_text())
            print(f"  kept in {folder}; again: python -m tests.lockstep --replay {folder}", flush=True)
        seed += 1
    seconds = time.monotonic() - started
    print(
        f"{programs} programs (seeds {args.seed}..{seed - 1}), {instructions} instructions equal, "
        f"{interrupts} interrupts, {failures} failures, {seconds:.0f} s"
    )
    return 1 if failures else 0


def replay(args: argparse.Namespace) -> int:
    """A kept program once more."""
    known = json.loads((args.replay / "shape.json").read_text())
    seed = known.pop("seed")
    outcome = run(
        seed, Shape(**known), read_keep((args.replay / "without").read_text()), DEVICES[args.device], args.replay
    )
    print(outcome.result.report)
    return 0 if outcome.result.equal else 1


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.lockstep", description="Random programs in lockstep with QEMU."
    )
    parser.add_argument("--instructions", type=int, default=200_000, help="stop when so many are compared")
    parser.add_argument("--seed", type=int, default=1, help="of the first program")
    parser.add_argument("--failures", type=int, default=1, help="stop after so many failing programs")
    parser.add_argument(
        "--device", choices=DEVICES, default="rtl", help="qemu: prove programs and comparison by QEMU alone"
    )
    parser.add_argument("--no-minimise", action="store_true", help="keep failing programs as they are")
    parser.add_argument("--replay", type=Path, metavar="FOLDER", help="run a kept program")
    parser.add_argument("--verbose", action="store_true", help="a line for every program")
    args = parser.parse_args()
    try:
        return replay(args) if args.replay else regression(args)
    finally:
        shutil.rmtree(BUILD / f"work-{os.getpid()}", ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
