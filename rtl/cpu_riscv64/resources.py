"""Which stage an instruction reads its operands in, and which stage its result comes from: one table.

    python -m rtl.cpu_riscv64.resources

prints it. Bypass, hazards (`operands`) and the choice between the two ALUs (`core`) are generated from it. An operand
that is read in M may still be in M, at the end of its producer's way, while its reader is in X: the reader takes it
along when it moves on, and is *deferred*. A deferred addition, comparison or logic operation is executed by the second
ALU, in M, and so its result comes a stage later; a deferred branch is decided there.
"""

from dataclasses import dataclass

from amaranth.hdl import C, Value

from .alu import reduced_has
from .bits import is_bits
from .interfaces import Unit


@dataclass(frozen=True)
class Resources:
    """One row. Stages are "X", "M" or "" (none); `deferred` is the stage of the result when an operand came late."""

    name: str
    unit: Unit
    rs1: str
    rs2: str
    result: str
    deferred: str
    group: str = ""
    """Which of its unit's operations: those the second ALU has ("reduced"), those of `Bits` ("bits"), or "others"."""

    def selects(self, control) -> Value:
        """Whether an instruction is of this row."""
        unit = Value.cast(control.unit) == self.unit.value
        has, bits = reduced_has(control.alu), is_bits(control.alu)
        return {"": unit, "reduced": unit & has, "bits": unit & bits, "others": unit & ~has & ~bits}[self.group]


TABLE = (
    Resources("addition, comparison, logic", Unit.ALU, "M", "M", "X", "M", group="reduced"),
    Resources("shift, extension", Unit.ALU, "X", "X", "X", "", group="others"),
    Resources("count, minimum, bytes", Unit.ALU, "X", "X", "M", "", group="bits"),
    Resources("branch, jump (result: link)", Unit.BRANCH, "M", "M", "X", "X"),
    Resources("load, store, atomic", Unit.MEMORY, "X", "M", "M", "M"),
    Resources("multiply", Unit.MULTIPLY, "X", "X", "M", ""),
    Resources("divide", Unit.DIVIDE, "M", "M", "M", "M"),
    Resources("CSR access", Unit.CSR, "M", "", "M", "M"),
    Resources("system", Unit.SYSTEM, "M", "M", "", ""),
)


def _any(rows, control) -> Value:
    selected = C(0, 1)
    for row in rows:
        selected = selected | row.selects(control)
    return selected


def reads_in_x(control, operand: str) -> Value:
    """Whether the instruction must have `operand` ("rs1", "rs2") when it enters X."""
    return _any([row for row in TABLE if getattr(row, operand) == "X"], control)


def result_in_m(control, deferred: Value) -> Value:
    """Whether its result comes from M; `deferred`: an operand came late."""
    always = [row for row in TABLE if row.result == "M"]
    sometimes = [row for row in TABLE if row.result == "X" and row.deferred == "M"]
    return _any(always, control) | (deferred & _any(sometimes, control))


def main() -> None:
    """Prints the table."""
    columns = [("instruction", "rs1 in", "rs2 in", "result of", "if an operand came late")]
    columns += [(row.name, row.rs1, row.rs2, row.result, row.deferred) for row in TABLE]
    for name, *stages in columns:
        print(f"{name:<30}" + "".join(f"{stage or '-':<11}" for stage in stages).rstrip())


if __name__ == "__main__":
    main()
