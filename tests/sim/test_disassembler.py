"""The disassembler against the project's assembler, for every row of the core's table and for compressed code."""

import random
import subprocess
from pathlib import Path

from elftools.elf.elffile import ELFFile

from rtl.cpu_riscv64.isa import INSTRUCTIONS
from sim.build import compiler
from sim.disassembler import disassemble, expand

SEED = 20
BASE = 0x8000_0000


def assembled(directory: Path, lines: list[str]) -> bytes:
    """Machine code of assembly text, without compression or relaxation."""
    source, target = directory / "code.S", directory / "code.o"
    source.write_text(".option norvc\n.option norelax\n" + "\n".join(lines) + "\n")
    arguments = ["-target", "riscv64-freestanding-none", "-mcpu=generic_rv64+m+a+c+zba+zbb+zbs+zihintpause"]
    subprocess.run([*compiler("cc"), *arguments, "-c", str(source), "-o", str(target)], check=True, capture_output=True)
    with target.open("rb") as file:
        section = ELFFile(file).get_section_by_name(".text")
        assert section
        return section.data()


def encodings(generator: random.Random) -> list[int]:
    """Every instruction several times, with random operands; encodings that have one spelling only."""
    found = []
    for row in INSTRUCTIONS:
        for _ in range(6):
            encoding = row.match | generator.getrandbits(32) & ~row.mask
            if row.name == "fence":  # reserved fields have no spelling
                encoding = 0x0FF0_000F
            elif row.name in ("fence.i", "ecall", "ebreak"):
                encoding = row.match
            found.append(encoding)
    return found


def test_text_assembles_to_the_same_encoding(tmp_path: Path) -> None:
    print(f"seed {SEED}")
    wanted = encodings(random.Random(SEED))
    lines = []
    for encoding in wanted:
        text = disassemble(encoding, 0)
        name, _, operands = text.partition(" ")
        if name in ("beq", "bne", "blt", "bge", "bltu", "bgeu", "jal"):  # targets are addresses: make them relative
            *registers, target = operands.split(", ")
            value = int(target, 16)
            value -= (value >> 63) << 64
            text = f"{name} {', '.join([*registers, f'.{value:+d}'])}"
        lines.append(text)
    code = assembled(tmp_path, lines)
    words = [int.from_bytes(code[n : n + 4], "little") for n in range(0, len(code), 4)]
    assert len(words) == len(wanted)
    different = [(f"{a:08x}", f"{b:08x}", line) for a, b, line in zip(wanted, words, lines, strict=True) if a != b]
    assert not different


def test_every_compressed_encoding_expands_as_capstone_reads_it() -> None:
    """All 65,536, but for those that RV64IMAC does not have."""
    import capstone

    reader = capstone.Cs(capstone.CS_ARCH_RISCV, capstone.CS_MODE_RISCV64 | capstone.CS_MODE_RISCVC)
    wide = {}
    for raw in range(0x1_0000):
        if raw & 3 == 3:
            continue
        expanded = expand(raw)
        known = next(reader.disasm(raw.to_bytes(2, "little"), BASE), None)
        floating = known is not None and known.mnemonic.startswith(("c.f", "f"))
        if expanded is None:
            wide[raw] = known
            continue
        assert known is None or not floating, f"{raw:04x} is {known}"
    # what does not expand is illegal, floating point, or reserved
    legal = {
        raw: known for raw, known in wide.items() if known and not known.mnemonic.startswith(("c.f", "f", "c.unimp"))
    }
    reserved = {"c.addiw", "c.lwsp", "c.ldsp", "c.addi4spn", "c.addi16sp", "c.lui", "c.jr", "unimp"}
    assert {known.mnemonic for known in legal.values()} <= reserved


def test_what_is_no_instruction_is_said() -> None:
    assert disassemble(0xFFFF_FFFF, 0) == ".4byte 0xffffffff"
    assert disassemble(0, 0) == ".2byte 0x0000"
