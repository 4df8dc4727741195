"""The front end with a walker, a bus, a data cache to probe, and a back end that executes random programs.

Memory holds random halfwords, so every even address begins some instruction. What an instruction does is a hash of its
address and of an epoch that ends with each FENCE.I: nothing, a branch, a jump, a call, a return. The back end consumes,
trains and redirects as the pipeline does, and compares each instruction with memory at the address where the program
really is.
"""

import random
from collections import Counter
from dataclasses import dataclass
from typing import Any

from amaranth.hdl import Elaboratable, Module, Signal, Value

from rtl.cpu_riscv64.config import CoreConfig
from rtl.cpu_riscv64.fetch.fetch import Fetch
from rtl.cpu_riscv64.fetch.predictor import BranchKind
from rtl.cpu_riscv64.interfaces import Cause, Privilege, Space
from tests.rtl.cpu_riscv64.axi_memory import OKAY, SLVERR, AxiMemory

RAM = 0x8000_0000
CODE = 0xFFFF_FFC0_0000_0000 + 0x1F_C000  # a virtual address of the upper half
U64 = (1 << 64) - 1


@dataclass
class CodePage:
    """`fault`: 'page', 'access' or none; `split`: first offset that PMP denies (4-byte grain).

    `seamed`: different PMP entries allow the lower and the upper half of every block, so that none allows it whole.
    """

    frame: int
    fault: str = ""
    split: int = 0x1000
    seamed: bool = False


class Bench(Elaboratable):
    """Consumes an instruction whenever there is one and `go`."""

    def __init__(self, config: CoreConfig):
        self.fetch = Fetch(config)
        self.go = Signal()

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.fetch = fetch = self.fetch
        m.d.comb += fetch.instruction.consume.eq(self.go & fetch.instruction.valid)
        return m


class Machine:
    """Runs `instructions` instructions and judges them.

    Parameters
    ----------
    stall : probability per cycle that the back end, and each bus channel, holds back
    redirect, fence, switch : probability per cycle of a trap to somewhere else, of a fence, of a change of mode
    hot : number of addresses that branches go to
    plain : nothing faults, and every 128 bytes the program jumps back to a hot address
    """

    def __init__(
        self,
        bench: Bench,
        rng: random.Random,
        *,
        instructions: int,
        stall: float = 0.3,
        latency: int = 10,
        redirect: float = 0.01,
        fence: float = 0.004,
        switch: float = 0.004,
        hot: int = 24,
        plain: bool = False,
        branches: float = 0.15,
    ):
        self.bench, self.fetch, self.rng, self.plain = bench, bench.fetch, rng, plain
        self.left, self.stall, self.branches = instructions, stall, branches
        self.chances = {"redirect": redirect, "fence": fence, "switch": switch}
        frames = rng.sample(range(64), 8)
        self.pages = [CodePage(RAM + (frame << 12)) for frame in frames]
        if not plain:
            self.pages[2].fault = "page"
            self.pages[4].fault = "access"
            self.pages[5].seamed = True
            self.pages[6].split = rng.randrange(0x10, 0x1000, 4)
        self.bad_line = None if plain else self.pages[7].frame + 64 * rng.randrange(64)
        self.memory: dict[int, int] = {}  # halfwords by physical address
        for page in self.pages:
            self._write_page(page)
        self.hot_count = hot
        self.epoch = 0
        self._new_epoch()
        self.bus = AxiMemory(self.fetch.bus, rng, self._bus_read, stall=stall, latency=latency)
        self.now = 0
        self.counts: Counter = Counter()
        self.machine_mode = True
        self.walk: dict | None = None
        self.probe_wait = 0

    # -- the program
    def _write_page(self, page: CodePage) -> None:
        for offset in range(0, 0x1000, 2):
            value = self.rng.getrandbits(16) | 3
            self.memory[page.frame + offset] = value if self.rng.random() < 0.5 else value - self.rng.randint(1, 3)

    def _new_epoch(self) -> None:
        self.epoch += 1
        self.hot = []
        for _ in range(self.hot_count):
            page = self.rng.randrange(len(self.pages))
            offset = self.rng.randrange(0, 0x1000, 2)
            if self.rng.random() < 0.3:
                offset |= 0xFF0  # runs into the next page
            self.hot.append((page, offset))
        self.stack: list[int] = []

    def _somewhere(self, choice: int) -> int:
        page, offset = self.hot[choice % len(self.hot)]
        return self.pages[page].frame + offset if self.machine_mode else (CODE + (page << 12) + offset) & U64

    def _behaviour(self, pc: int) -> tuple[BranchKind | None, int]:
        """What the instruction at `pc` is, and its target."""
        h = hash((pc, self.epoch, 0)) & 0xFFFF_FFFF
        if self.plain and pc & 0x7F >= 0x70:
            return BranchKind.JUMP, self._somewhere(pc >> 7)
        if h % 1000 >= self.branches * 1000:
            return None, 0
        kind = (BranchKind.CONDITIONAL, BranchKind.CONDITIONAL, BranchKind.JUMP, BranchKind.CALL, BranchKind.RETURN)[
            (h >> 12) % 5
        ]
        near = (pc & -0x1000) + (pc + ((h >> 16) % 96 - 64) * 2 & 0xFFF)
        target = near if h >> 24 & 1 else self._somewhere(h >> 20)
        if kind == BranchKind.RETURN:
            return (kind, self.stack[-1]) if self.stack else (None, 0)
        return kind, target

    # -- translation as it should be
    def _translate(self, va: int) -> tuple[int, str]:
        """Physical address, and the fault of its halfword."""
        if self.machine_mode:
            for page in self.pages:
                if page.frame == va & -0x1000:
                    return va, self._bus_fault(va)
            return 0, "access"
        number = (va - CODE >> 12) if CODE <= va else -1
        if not 0 <= number < len(self.pages):
            return 0, "page"
        page = self.pages[number]
        if page.fault:
            return 0, page.fault
        if va & 0xFFF >= page.split:
            return 0, "access"
        physical = page.frame + (va & 0xFFF)
        return physical, self._bus_fault(physical)

    def _bus_fault(self, physical: int) -> str:
        return "access" if physical >> 6 << 6 == self.bad_line else ""

    # -- surroundings
    def _bus_read(self, address: int) -> tuple[int, int]:
        if address >> 6 << 6 == self.bad_line and address & 8:
            return 0, SLVERR
        return sum(self.memory.get(address + i, 0) << 8 * i for i in range(0, 8, 2)), OKAY

    def _walker(self, ctx: Any, s: Any) -> None:
        if self.walk and self.walk["answered"]:
            ctx.set(self.fetch.walk_done, 0)
            self.walk = None
            return
        if not s.walk_valid:
            assert self.walk is None, "the walk request was taken back"
            return
        request = (s.walk_va, s.walk_length, s.walk_privilege)
        if self.walk is None:
            self.walk = {"request": request, "wait": self.rng.randint(0, 12), "answered": False}
        assert self.walk["request"] == request, "the walk request changed"
        if self.walk["wait"]:
            self.walk["wait"] -= 1
            return
        va, length, privilege = request
        assert 1 <= length and (va & 7) + length <= 8
        bare = privilege == Privilege.MACHINE.value
        fault, frame, mixed = "", va & -0x1000, False
        if bare:
            fault = "" if frame in [page.frame for page in self.pages] else "access"
        else:
            number = va - CODE >> 12
            if va < CODE or number >= len(self.pages):
                fault = "page"
            else:
                page = self.pages[number]
                frame, fault, mixed = page.frame, page.fault, page.split != 0x1000 or page.seamed
                crosses = page.seamed and va & 4 != va + length - 1 & 4
                if not fault and ((va & 0xFFF) + length > page.split or crosses):
                    fault = "access"
        entry = {
            "valid": 1,
            "space": Space.BARE_M if bare else Space.TRANSLATED,
            "vpn": va >> 12 & (1 << 27) - 1,
            "asid": 7,
            "ppn": frame >> 12 & (1 << 24) - 1,
            "execute": 1,
            "cacheable": 1,
            "mixed": mixed,
        }
        cause = Cause.FETCH_PAGE if fault == "page" else Cause.FETCH_ACCESS
        ctx.set(self.fetch.walk_response, {"fault": bool(fault), "cause": cause, "entry": entry})
        ctx.set(self.fetch.walk_done, 1)
        self.walk["answered"] = True
        self.counts["walks"] += 1

    def _data_cache(self, ctx: Any, s: Any) -> None:
        if self.probe_wait < 0:
            ctx.set(self.fetch.probe.done, 0)
            self.probe_wait = 0
            assert not s.probe_valid or s.probe_done
        elif s.probe_valid:
            if not self.probe_wait:
                self.probe_wait = self.rng.randint(1, 8)
            self.probe_wait -= 1
            if not self.probe_wait:
                ctx.set(self.fetch.probe.done, 1)
                self.probe_wait = -1

    # -- the back end
    def _context(self, ctx: Any) -> None:
        mode = Privilege.MACHINE if self.machine_mode else Privilege.SUPERVISOR
        ctx.set(self.fetch.context, {"privilege": mode, "sv39": 1, "asid": 7})

    def _consumed(self, s: Any) -> None:
        """Compare with memory; decide what execution will say in the next cycle."""
        if self.trapping:
            return
        what = f"cycle {self.now}, pc {self.pc:#x}"
        assert s.pc == self.pc, f"{what}: delivered pc {s.pc:#x}"
        physical, fault = self._translate(self.pc)
        if s.torn:
            assert not s.fault, f"{what}: torn and faulty, which nobody would repair"
            assert not fault
            self.counts["torn"] += 1
            self.torn_in_row += 1
            assert self.torn_in_row < 3, f"{what}: torn again and again"
            assert self.memory[physical] & 3 == 3, f"{what}: a compressed instruction cannot be torn"
            self.resolve = (s, None, False, 0)
            return
        self.torn_in_row = 0
        if fault:
            assert s.fault and not s.second_half and s.fault_page == (fault == "page"), f"{what}: fault {fault} missed"
            self._fault()
            return
        low = self.memory[physical]
        compressed = low & 3 != 3
        raw = low
        if not compressed:
            physical, fault = self._translate(self.pc + 2 & U64)
            if fault:
                assert s.fault and s.second_half and s.fault_page == (fault == "page"), (
                    f"{what}: {fault} in second half"
                )
                self._fault()
                return
            raw |= self.memory[physical] << 16
        assert not s.fault, f"{what}: fault, page {s.fault_page}, second half {s.second_half}"
        assert s.raw & (0xFFFF if compressed else 0xFFFF_FFFF) == raw, f"{what}: {s.raw:#x}, memory has {raw:#x}"
        following = self.pc + (2 if compressed else 4) & U64
        assert s.next_pc == following, f"{what}: next {s.next_pc:#x}"
        self.left -= 1
        self.counts["instructions"] += 1
        kind, target = self._behaviour(self.pc)
        taken = kind is not None and (
            kind != BranchKind.CONDITIONAL or self.rng.random() < hash((self.pc, 1)) % 11 / 10
        )
        if kind == BranchKind.CALL:
            self.stack = [*self.stack[-20:], following]
        if kind == BranchKind.RETURN:
            self.stack.pop()
        self.pc = target if taken else following
        self.resolve = (s, kind, taken, target)

    def _fault(self) -> None:
        self.counts["faults"] += 1
        self.trapping = self.rng.randint(2, 8)

    def _resolve(self, ctx: Any) -> bool:
        """X, in the cycle after the instruction was consumed: training; whether it redirects."""
        if self.resolve is None:
            if self.trained:
                ctx.set(self.fetch.training.counter_write, 0)
                ctx.set(self.fetch.training.entry_write, 0)
                ctx.set(self.fetch.repair.valid, 0)
                self.trained = False
            return False
        s, kind, taken, target = self.resolve
        self.resolve = None
        is_branch = kind is not None
        predicted = _address(s.target)
        wrong = taken != s.taken or (taken and target != predicted)
        redirect = bool(s.torn or wrong)
        conditional = kind == BranchKind.CONDITIONAL
        teach = is_branch or s.known or s.torn
        counter = 2 if not s.known else min(s.counter + 1, 3) if taken else max(s.counter - 1, 0)
        if is_branch and taken:
            self.counts["taken"] += 1
            self.counts["taken_right"] += not wrong
        values = {
            "address": s.pc if s.torn else s.next_pc - 2 & U64,
            "counter_write": teach and conditional and (s.known or taken),
            "counter_index": s.index,
            "counter": counter,
            "entry_write": teach and (taken and (wrong or not s.known) if is_branch and not s.torn else s.known),
            "entry_valid": is_branch and not s.torn,
            "entry_known": s.known,
            "entry_way": s.way,
            "kind": kind or BranchKind.CONDITIONAL,
            "target": {"bits": target >> 1 & (1 << 38) - 1},
        }
        for name, value in values.items():
            ctx.set(getattr(self.fetch.training, name), value)
        repair = {
            "valid": redirect,
            "conditional": conditional and (s.known or taken),
            "taken": taken,
            "history": s.history,
            "ras_top": s.ras_top,
            "call": kind == BranchKind.CALL,
            "returns": kind == BranchKind.RETURN,
            "link": {"bits": s.next_pc >> 1 & (1 << 38) - 1},
        }
        for name, value in repair.items():
            ctx.set(getattr(self.fetch.repair, name), value)
        self.trained = True
        if redirect:
            self._redirect(ctx, s.pc if s.torn else self.pc)
            self.counts["mispredicted"] += 1
        return redirect

    def _redirect(self, ctx: Any, pc: int) -> None:
        ctx.set(self.fetch.redirect, 1)
        ctx.set(self.fetch.redirect_pc, pc)
        self.redirecting = True

    def _control(self, ctx: Any, s: Any) -> None:
        """One cycle of the back end after what was consumed has been looked at."""
        rng, fetch = self.rng, self.fetch
        if self.redirecting:
            ctx.set(fetch.redirect, 0)
            self.redirecting = False
        go = 0
        redirected = self._resolve(ctx)
        if redirected:
            pass
        elif self.state == "run":
            if self.trapping:
                self.trapping -= 1
                go = rng.randrange(2)
                if not self.trapping:
                    go = 0
                    self._jump(ctx)
            elif rng.random() < self.chances["redirect"]:
                self._jump(ctx)
            elif rng.random() < self.chances["fence"]:
                self.state = "wait"
                self.kind = rng.choice(("cache", "tlb"))
                ctx.set(fetch.hold, 1)
                self._change()
            elif rng.random() < self.chances["switch"]:
                self.machine_mode = not self.machine_mode
                self.stack = []
                self._context(ctx)
                self.state = "switched"
            else:
                go = rng.random() >= self.stall
        elif self.state == "switched":
            self._jump(ctx)
            self.state = "run"
        elif self.state == "wait":
            if s.idle and not s.flushing:
                ctx.set(fetch.flush_cache if self.kind == "cache" else fetch.sfence_valid, 1)
                self.state = "flush"
        elif self.state == "flush":
            ctx.set(fetch.flush_cache, 0)
            ctx.set(fetch.sfence_valid, 0)
            self.state = "flushing"
        elif self.state == "flushing" and not s.flushing:
            ctx.set(fetch.hold, 0)
            self.state = "switched"
            self.counts["fences"] += 1
        ctx.set(self.bench.go, go)

    def _jump(self, ctx: Any) -> None:
        self.pc = self._somewhere(self.rng.randrange(1 << 16))
        self._redirect(ctx, self.pc)
        self.trapping = 0
        self.counts["redirects"] += 1
        self.disturbed = True

    def _change(self) -> None:
        """What a fence is needed for."""
        if self.kind == "cache":
            for page in self.rng.sample(self.pages, 2):
                self._write_page(page)
            self._new_epoch()
        else:
            a, b = self.rng.sample(range(len(self.pages)), 2)
            self.pages[a], self.pages[b] = self.pages[b], self.pages[a]
            self.stack = []

    async def run(self, ctx: Any) -> None:
        fetch, out = self.fetch, self.fetch.instruction
        named = {
            "consume": out.consume,
            "pc": out.pc,
            "next_pc": out.next_pc,
            "raw": out.raw,
            "fault": out.fault.valid,
            "fault_page": out.fault.page,
            "second_half": out.fault_in_second_half,
            "torn": out.torn,
            "taken": out.taken,
            "target": out.target.bits,
            "known": out.known,
            "way": out.way,
            "counter": out.counter,
            "index": out.index,
            "history": out.history,
            "ras_top": out.ras_top,
            "idle": fetch.idle,
            "flushing": fetch.flushing,
            "walk_valid": fetch.walk_valid,
            "walk_va": fetch.walk.va,
            "walk_length": fetch.walk.length,
            "walk_privilege": fetch.walk.context.privilege,
            "probe_valid": fetch.probe.valid,
            "probe_done": fetch.probe.done,
            "miss_cache": fetch.miss_cache,
        }
        names, signals = list(named), [Value.cast(signal) for signal in named.values()]
        bus_signals = self.bus.signals()
        self.resolve = None
        self.trained = self.redirecting = self.disturbed = False
        self.trapping = self.torn_in_row = 0
        self.state = "run"
        self._context(ctx)
        self.pc = self._somewhere(0)
        self.state = "switched"
        last = 0
        while self.left > 0:
            self.now += 1
            sampled = await ctx.tick().sample(*signals, *bus_signals)
            s = Sample(names, sampled[2:])
            self.counts["misses"] += s.miss_cache
            self._walker(ctx, s)
            self._data_cache(ctx, s)
            if s.consume or self.disturbed:
                last = self.now  # instructions may never come where every fetch is interrupted
                self.disturbed = False
            if s.consume:
                self._consumed(s)
            self._control(ctx, s)
            self.bus.step(ctx, sampled[2 + len(signals) :])
            assert self.now - last < 1500, f"cycle {self.now}: no instruction, pc {self.pc:#x}, state {self.state}"


class Sample:
    """Named values of one cycle."""

    def __init__(self, names: list[str], values: Any):
        self.__dict__.update(zip(names, values, strict=False))


def _address(bits: int) -> int:
    return (bits << 1 | (-1 << 39 if bits >> 37 else 0)) & U64
