"""RVFI says what its definition asks for (riscv-formal, docs/source/rvfi.rst), also of what traps."""

from amaranth.sim import Simulator

from rtl.cpu_riscv64.interfaces import Cause, Control, Memory, Unit
from rtl.cpu_riscv64.rvfi import RvfiReport

INSN = 0x0000_3003


def reported(*steps: dict[str, object]) -> list[dict[str, int]]:
    """What the port says a cycle after each step."""
    dut, said = RvfiReport(), []

    async def bench(ctx) -> None:
        for step in steps:
            values = {"retires": 0, "trapped": 0, "interrupted": 0, "undecoded": 0, "fetch_fault": 0, "insn": INSN}
            for name, value in (values | {"rs1": 0x11, "rs2": 0x22, "result": 0x33} | step).items():
                ctx.set(getattr(dut, name), value)
            await ctx.tick()
            said.append({name: int(ctx.get(getattr(dut.rvfi, name)) or 0) for name in NAMES})

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return said


NAMES = (
    "valid", "insn", "trap", "intr", "rs1_addr", "rs2_addr", "rs1_rdata", "rs2_rdata", "rd_addr", "rd_wdata",
    "mem_rmask", "mem_wmask", "mem_fault", "mem_fault_rmask", "mem_fault_wmask",
)  # fmt: skip
ADD = {"unit": Unit.ALU, "rd": 3, "rs1": 1, "rs2": 2}


def memory(kind: Memory) -> dict[str, object]:
    return {"unit": Unit.MEMORY, "memory": kind, "size": 2, "rd": 3, "rs1": 1, "rs2": 2}


def test_an_undecoded_instruction_names_no_registers() -> None:
    (said,) = reported({"trapped": 1, "undecoded": 1, "control": Control.const(ADD), "cause": Cause.ILLEGAL})
    assert (said["valid"], said["trap"], said["insn"], said["mem_fault"]) == (1, 1, INSN, 0)
    assert not any(said[name] for name in ("rs1_addr", "rs2_addr", "rs1_rdata", "rs2_rdata", "rd_addr", "rd_wdata"))


def test_an_instruction_that_could_not_be_fetched_is_zero_and_a_fault_of_memory() -> None:
    (said,) = reported({"trapped": 1, "undecoded": 1, "fetch_fault": 1, "cause": Cause.FETCH_PAGE})
    assert (said["insn"], said["mem_fault"], said["mem_fault_rmask"], said["mem_fault_wmask"]) == (0, 1, 0, 0)


def test_refused_accesses_show_the_bytes_they_wanted() -> None:
    load, amo, misaligned = reported(
        {"trapped": 1, "control": Control.const(memory(Memory.LOAD)), "cause": Cause.LOAD_ACCESS},
        {"trapped": 1, "control": Control.const(memory(Memory.AMO)), "cause": Cause.STORE_PAGE},
        {"trapped": 1, "control": Control.const(memory(Memory.AMO)), "cause": Cause.STORE_MISALIGNED},
    )
    assert (load["mem_fault"], load["mem_fault_rmask"], load["mem_fault_wmask"]) == (1, 15, 0)
    assert (amo["mem_fault"], amo["mem_fault_rmask"], amo["mem_fault_wmask"]) == (1, 15, 15)
    assert (misaligned["trap"], misaligned["mem_fault"], misaligned["mem_fault_rmask"]) == (1, 0, 0)
    assert not any(said[name] for said in (load, amo, misaligned) for name in ("mem_rmask", "mem_wmask", "rd_addr"))


def test_a_failed_store_conditional_writes_nothing() -> None:
    control = Control.const(memory(Memory.STORE_CONDITIONAL))
    failed, done = reported(
        {"retires": 1, "control": control, "result": 1}, {"retires": 1, "control": control, "result": 0}
    )
    assert (failed["mem_wmask"], done["mem_wmask"], done["mem_rmask"]) == (0, 15, 0)


def test_the_first_instruction_of_every_handler_is_marked() -> None:
    add = {"control": Control.const(ADD)}
    said = reported(
        {"retires": 1} | add,
        {"trapped": 1, "cause": Cause.ECALL_M} | add,
        {},
        {"retires": 1} | add,
        {"retires": 1} | add,
        {"trapped": 1, "interrupted": 1} | add,
        {"retires": 1} | add,
        {"retires": 1} | add,
    )
    assert [(one["valid"], one["intr"]) for one in said if one["valid"]] == [
        (1, 0), (1, 0), (1, 1), (1, 0), (1, 1), (1, 0),
    ]  # fmt: skip
