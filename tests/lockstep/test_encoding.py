"""The encoder agrees with LLVM's assembler, instruction by instruction: a slip there would hide one in the core."""

import random
import subprocess
import sys

from tests.lockstep import encoding as e


def samples(rng: random.Random) -> list[e.Instruction]:
    """Every instruction form with random operands."""

    def any_register() -> int:
        return rng.randrange(32)

    def nonzero() -> int:
        return rng.randrange(1, 32)

    def low() -> int:
        return rng.randrange(8, 16)

    def imm12() -> int:
        return rng.randrange(-2048, 2048)

    out = [e.register(name, any_register(), any_register(), any_register()) for name in e.REGISTER]
    out += [e.immediate(name, any_register(), nonzero(), imm12()) for name in e.IMMEDIATE]
    out += [e.shift(name, any_register(), any_register(), rng.randrange(1 << row[3])) for name, row in e.SHIFT.items()]
    out += [e.unary(name, any_register(), any_register()) for name in e.UNARY]
    out += [e.load(name, any_register(), any_register(), imm12()) for name in e.LOADS]
    out += [e.store(name, any_register(), any_register(), imm12()) for name in e.STORES]
    out += [e.branch(name, any_register(), nonzero(), 2 * rng.randrange(-2048, 2048)) for name in e.BRANCHES]
    out += [e.lui(nonzero(), rng.getrandbits(20)), e.auipc(any_register(), rng.getrandbits(20))]
    out += [e.jal(any_register(), 2 * rng.randrange(-(1 << 19), 1 << 19)), e.jalr(nonzero(), any_register(), imm12())]
    for double in (False, True):
        out += [e.amo(name, double, any_register(), any_register(), any_register()) for name in e.ATOMICS]
        out += [e.lr(double, any_register(), any_register())]
        out += [e.sc(double, any_register(), any_register(), any_register())]
        out += [e.c_load(double, low(), low(), rng.randrange(32) * (8 if double else 4))]
        out += [e.c_store(double, low(), low(), rng.randrange(32) * (8 if double else 4))]
        out += [e.c_load_sp(double, nonzero(), rng.randrange(64) * (8 if double else 4))]
        out += [e.c_store_sp(double, any_register(), rng.randrange(64) * (8 if double else 4))]
    out += [e.csr(name, nonzero(), 0x340, nonzero()) for name in e.CSR_OPS]
    out += [e.FENCE, e.FENCE_TSO, e.FENCE_I, e.PAUSE, e.ECALL, e.EBREAK, e.MRET, e.SRET, e.WFI, e.C_NOP, e.C_EBREAK]
    out += [e.sfence_vma(nonzero(), nonzero())]
    out += [e.c_immediate("c.addi", nonzero(), rng.choice((-32, -1, 1, 31)))]
    out += [e.c_immediate("c.addiw", nonzero(), rng.randrange(-32, 32))]
    out += [e.c_immediate("c.li", nonzero(), rng.randrange(-32, 32))]
    out += [e.c_immediate("c.lui", rng.choice((1, 5, 31)), rng.randrange(1, 32))]
    out += [e.c_addi16sp(rng.choice((-512, -16, 16, 496, 32 * 5))), e.c_addi4spn(low(), 4 * rng.randrange(1, 256))]
    out += [e.c_shift(name, low(), rng.randrange(1, 64)) for name in ("c.slli", "c.srli", "c.srai")]
    out += [e.c_shift("c.andi", low(), rng.randrange(-32, 32))]
    out += [e.c_register(name, low(), low()) for name in e.C_REGISTER]
    out += [e.c_mv(nonzero(), nonzero()), e.c_add(nonzero(), nonzero()), e.c_jr(nonzero()), e.c_jalr(nonzero())]
    out += [e.c_j(2 * rng.randrange(-1024, 1024))]
    out += [e.c_branch(name, low(), 2 * rng.randrange(-128, 128)) for name in ("c.beqz", "c.bnez")]
    return out


def test_every_encoding_is_llvms(tmp_path):
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    wanted = [sample for _ in range(20) for sample in samples(rng)]
    lines = [".option norelax"]
    for sample in wanted:
        lines.append(".option rvc" if sample.size == 2 else ".option norvc")
        text = sample.text.replace("c.addi16sp ", "c.addi16sp sp, ").replace("c.addi4spn", "c.addi4spn")
        if text.startswith("c.addi4spn"):
            text = text.replace(", ", ", sp, ")
        if "sp " in text and text.startswith(("c.lwsp", "c.ldsp", "c.swsp", "c.sdsp")):
            text += "(sp)"
        lines.append(text.replace(". + -", ". - "))
    source, assembled, image = tmp_path / "all.S", tmp_path / "all.o", tmp_path / "all.bin"
    source.write_text("\n".join(lines) + "\n")
    zig = [sys.executable, "-m", "ziglang"]
    target = ["-target", "riscv64-freestanding-none", "-mcpu=generic_rv64+m+a+c+zba+zbb+zbs+zihintpause"]
    subprocess.run([*zig, "cc", *target, "-c", str(source), "-o", str(assembled)], check=True)
    subprocess.run([*zig, "objcopy", "-O", "binary", str(assembled), str(image)], check=True)
    got = image.read_bytes()
    at = 0
    for sample, text in zip(wanted, lines[2::2], strict=True):
        assert int.from_bytes(got[at : at + sample.size], "little") == sample.value, text
        at += sample.size
    assert at == len(got)
