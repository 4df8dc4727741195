"""Branches: decided in X, or in M where an operand came late; what fetch learns from them.

X   decided ------ wrong? --> redirect in the next cycle
|   not decided: the prediction stands (a conditional branch's target is checked all the same)
M   decided ------ wrong? --> redirect in the next cycle
|
v training of the predictor, in program order, of instructions that retire
"""

from typing import Any

from amaranth.hdl import C, Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .config import CoreConfig
from .fetch.predictor import BranchKind, Repair, Target, Training
from .interfaces import Branch


def predicted_members(config: CoreConfig) -> dict[str, Any]:
    """What an instruction carries of its prediction, as (name, shape)."""
    return {
        "taken": 1,
        "target": Target,
        "known": 1,
        "way": 1,
        "counter": 2,
        "index": config.history_bits,
        "history": config.history_bits,
        "ras_top": range(config.ras_entries),
    }


class BranchUnit(wiring.Component):
    """Decides branches and teaches the predictor.

    Parameters
    ----------
    config : CoreConfig

    Members, instruction in X
    -------------------------
    valid, fresh, fire, moves : In(1)
        There is one; this is its first cycle there; it goes on to M. M takes what comes, if it is only nothing.
    sound : In(1)
        It was fetched and is legal; `branch` is NONE where it is not.
    torn : In(1)
        The prediction cut it in two: its prediction is to be dropped, and it is to be fetched again; not a branch.
    late : In(1)
        It is a branch that M decides.
    branch : In(Branch), rd, rs1 : In(5)
        From its control word.
    condition : In(1)
        The comparator's.
    target : In(64)
        Where JAL and conditional branches go.
    address : In(64)
        Where JALR goes.
    pc, next_pc : In(64)
        Its address and that of the instruction behind it.
    predicted : In
        The members of `predicted_members`.
    overtaken : In(1)
        What is in M will redirect, or trap: X must not.
    redirect : Out(1), redirect_pc : Out(64)
        What is in D came the wrong way: go elsewhere in the next cycle.

    Members, instruction in M
    -------------------------
    retires : In(1)
        It does. A torn one does not, and teaches all the same.
    late_condition : In(1), late_address : In(64)
        Of the second ALU.
    wrong : Out(1)
        What is in D and X came the wrong way.
    follows : Out(64)
        Where the program goes from there.
    otherwise : Out(64)
        The same where it is `wrong`, or no branch. Known sooner than which it is.

    Members, to fetch
    -----------------
    training : Out(Training)
        Of the instruction in M.
    repair : Out(Repair)
        In the cycle after `redirect` or `wrong`; the latter counts where both were.
    """

    def __init__(self, config: CoreConfig):
        self.config = config
        super().__init__(
            {
                "valid": In(1),
                "fresh": In(1),
                "fire": In(1),
                "moves": In(1),
                "sound": In(1),
                "torn": In(1),
                "late": In(1),
                "branch": In(Branch),
                "rd": In(5),
                "rs1": In(5),
                "condition": In(1),
                "target": In(64),
                "address": In(64),
                "pc": In(64),
                "next_pc": In(64),
                "predicted": In(wiring.Signature({k: Out(v) for k, v in predicted_members(config).items()})),
                "overtaken": In(1),
                "redirect": Out(1),
                "redirect_pc": Out(64),
                "retires": In(1),
                "late_condition": In(1),
                "late_address": In(64),
                "wrong": Out(1),
                "follows": Out(64),
                "otherwise": Out(64),
                "training": Out(Training(config)),
                "repair": Out(Repair(config)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config, predicted = self.config, self.predicted

        # -- X
        conditional = Signal()
        indirect = Signal()
        taken = Signal()
        wrong = Signal()
        target = Mux(indirect, self.address[1:], self.target[1:])
        jump_target = Cat(C(0, 1), target)
        expects = predicted.target.address()[1:]
        target_wrong = Mux(indirect, self.address[1:] != expects, self.target[1:] != expects)  # the sum comes late
        m.d.comb += [
            conditional.eq(self.branch == Branch.CONDITIONAL),
            indirect.eq(self.branch == Branch.JALR),
            taken.eq(
                Mux(
                    self.late,
                    predicted.taken,
                    (self.branch == Branch.JAL) | indirect | (conditional & self.condition),
                )
            ),
            wrong.eq((taken != predicted.taken) | (taken & target_wrong & ~(self.late & indirect))),
            self.redirect.eq(self.valid & self.fresh & ~self.overtaken & (self.torn | (wrong & self.sound))),
            self.redirect_pc.eq(Mux(self.torn, self.pc, Mux(taken, jump_target, self.next_pc))),
        ]
        is_branch = self.branch != Branch.NONE
        links = (self.rd == 1) | (self.rd == 5)
        returns = indirect & ~links & ((self.rs1 == 1) | (self.rs1 == 5))
        kind = Signal(BranchKind)
        with m.If(conditional):
            m.d.comb += kind.eq(BranchKind.CONDITIONAL)
        with m.Elif(links):
            m.d.comb += kind.eq(BranchKind.CALL)
        with m.Elif(returns):
            m.d.comb += kind.eq(BranchKind.RETURN)
        with m.Else():
            m.d.comb += kind.eq(BranchKind.JUMP)

        # -- M
        teaches = Signal()  # the predictor has something to learn, if it retires
        torn = Signal()
        was_branch = Signal()
        late = Signal()
        was_conditional = Signal()
        was_taken = Signal()
        was_wrong = Signal()
        was_kind = Signal(BranchKind)
        indirectly = Signal()
        known = Signal()
        way = Signal()
        counter = Signal(2)
        index = Signal(config.history_bits)
        history = Signal(config.history_bits)
        ras_top = Signal(range(config.ras_entries))
        last = Signal(64)  # the branch's last halfword
        went_to = Signal(Target)
        after = Signal(Target)
        expected = Signal(64)  # the way the program went on
        other = Signal(64)  # the way it did not, after a late conditional branch
        m.d.sync += torn.eq(self.fire & self.torn)
        with m.If(self.moves):
            m.d.sync += [
                teaches.eq(self.sound & (is_branch | predicted.known)),
                was_branch.eq(is_branch),
                late.eq(self.late),
                was_conditional.eq(conditional),
                was_taken.eq(taken),
                was_wrong.eq(wrong),
                was_kind.eq(kind),
                indirectly.eq(indirect),
                known.eq(predicted.known),
                way.eq(predicted.way),
                counter.eq(predicted.counter),
                index.eq(predicted.index),
                history.eq(predicted.history),
                ras_top.eq(predicted.ras_top),
                last.eq(Mux(self.torn, self.pc, Cat(self.pc[0], self.next_pc[1:] - 1))),
                went_to.bits.eq(target),
                after.bits.eq(self.next_pc[1:]),
                other.eq(Mux(taken, self.next_pc, jump_target)),
                expected.eq(
                    Mux(
                        taken,
                        Mux(self.late & indirect, predicted.target.address(), jump_target),
                        self.next_pc,
                    )
                ),
            ]

        late_taken = Signal()
        really_taken = Signal()
        late_wrong = Signal()
        learns = Signal()
        train = self.training
        m.d.comb += [
            late_taken.eq(~was_conditional | self.late_condition),
            really_taken.eq(Mux(late, late_taken, was_taken)),
            late_wrong.eq(
                late & Mux(indirectly, self.late_address[1:] != expected[1:], self.late_condition != was_taken)
            ),
            self.wrong.eq(late_wrong & self.retires),
            self.otherwise.eq(Mux(late, Mux(indirectly, Cat(C(0, 1), self.late_address[1:]), other), expected)),
            self.follows.eq(Mux(late_wrong, self.otherwise, expected)),
            learns.eq(torn | (teaches & self.retires)),
            train.address.eq(last),
            train.counter_index.eq(index),
            train.counter_write.eq(learns & was_conditional & (known | really_taken)),
            train.entry_write.eq(learns & Mux(was_branch, really_taken & (was_wrong | late_wrong | ~known), known)),
            train.entry_valid.eq(was_branch),
            train.entry_known.eq(known),
            train.entry_way.eq(way),
            train.kind.eq(was_kind),
            train.varies.eq(known & indirectly & (was_kind != BranchKind.RETURN)),
            train.target.eq(went_to),
        ]
        with m.If(late & indirectly):
            m.d.comb += train.target.bits.eq(self.late_address[1:])
        with m.If(~known):
            m.d.comb += train.counter.eq(2)
        with m.Elif(really_taken):
            m.d.comb += train.counter.eq(Mux(counter == 3, 3, counter + 1))
        with m.Else():
            m.d.comb += train.counter.eq(Mux(counter == 0, 0, counter - 1))

        # -- repair, from X or from M: both are kept, since which it is is known last
        from_x = Repair(config).create(path=("from_x",))
        from_m = Repair(config).create(path=("from_m",))
        m.d.sync += [
            from_x.valid.eq(self.redirect),
            from_x.history.eq(predicted.history),
            from_x.ras_top.eq(predicted.ras_top),
            from_x.conditional.eq(conditional & (predicted.known | taken)),
            from_x.taken.eq(taken),
            from_x.call.eq(is_branch & (kind == BranchKind.CALL)),
            from_x.returns.eq(is_branch & (kind == BranchKind.RETURN)),
            from_x.link.bits.eq(self.next_pc[1:]),
            from_m.valid.eq(self.wrong),
            from_m.history.eq(history),
            from_m.ras_top.eq(ras_top),
            from_m.conditional.eq(was_conditional & (known | late_taken)),
            from_m.taken.eq(late_taken),
            from_m.call.eq(was_kind == BranchKind.CALL),
            from_m.returns.eq(was_kind == BranchKind.RETURN),
            from_m.link.eq(after),
        ]
        for name in Repair(config).members:
            m.d.comb += getattr(self.repair, name).eq(
                Mux(from_m.valid, getattr(from_m, name), getattr(from_x, name)),
            )
        return m
