"""Walks the statements of the typed tree: what evaluate.py (on values) and symbolic/execute.py (on terms) share.

Each says what a value, a place and an assignment is, which way a condition goes, and what a failed check means.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from kernel.lang import tree
from kernel.lang.declare import Function
from kernel.lang.program import Program


class _Return(Exception):
    """Its argument is the result."""


class _Break(Exception):
    pass


class _Continue(Exception):
    pass


def overwrite(target: Any, source: Any) -> None:
    """Copies a struct or array into another, keeping the containers that pointers may point into."""
    for key in target if isinstance(target, dict) else range(len(target)):
        if isinstance(target[key], (dict, list)):
            overwrite(target[key], source[key])
        else:
            target[key] = source[key]


class Walker(ABC):
    """Runs statements in order. A frame has the values of a function's parameters and locals, by tree.Variable."""

    program: Program

    # What a kind of walk has to say

    @abstractmethod
    def value(self, node: tree.Expression, frame: dict[Any, Any]) -> Any:
        """The value of an expression."""

    @abstractmethod
    def decide(self, condition: Any) -> bool:
        """Which way a condition goes."""

    @abstractmethod
    def require(self, condition: Any, node: tree.Node, *values: int) -> None:
        """A check of the language: where it fails, there is a panic at the node, with these values."""

    @abstractmethod
    def one_of(self, subject: Any, values: Sequence[int]) -> Any:
        """Whether a value is one of some constants, as a condition."""

    # Functions and statements

    def run_body(self, function: Function, arguments: Sequence[Any]) -> Any:
        """Runs a function's body; gives its result."""
        body = self.program.bodies[function]
        frame: dict[Any, Any] = dict(zip(body.parameters, arguments, strict=True))
        try:
            self.block(body.statements, frame)
        except _Return as result:
            return result.args[0]
        return None

    def block(self, statements: list[tree.Statement], frame: dict[Any, Any]) -> None:
        """Runs statements in order."""
        for node in statements:
            self.statement(node, frame)

    def statement(self, node: tree.Statement, frame: dict[Any, Any]) -> None:
        """Runs the method that has the node's name."""
        getattr(self, f"_{type(node).__name__.lower()}")(node, frame)

    def _evaluate(self, node: tree.Evaluate, frame: dict[Any, Any]) -> None:
        self.value(node.value, frame)

    def _if(self, node: tree.If, frame: dict[Any, Any]) -> None:
        self.block(node.then if self.decide(self.value(node.condition, frame)) else node.otherwise, frame)

    def _while(self, node: tree.While, frame: dict[Any, Any]) -> None:
        turn = 0
        while self.decide(self.value(node.condition, frame)):
            self.require(turn != node.bound, node)
            turn += 1
            if self.round(node.body, frame):
                break

    def round(self, body: list[tree.Statement], frame: dict[Any, Any]) -> bool:
        """One round of a loop; True when it breaks."""
        try:
            self.block(body, frame)
        except _Break:
            return True
        except _Continue:
            pass
        return False

    def _match(self, node: tree.Match, frame: dict[Any, Any]) -> None:
        subject = self.value(node.subject, frame)
        for case in node.cases:
            if not case.values or self.decide(self.one_of(subject, case.values)):
                self.block(case.body, frame)
                return
        self.require(False, node, subject)

    def _return(self, node: tree.Return, frame: dict[Any, Any]) -> None:
        raise _Return(None if node.value is None else self.value(node.value, frame))

    def _break(self, node: tree.Break, frame: dict[Any, Any]) -> None:
        raise _Break

    def _continue(self, node: tree.Continue, frame: dict[Any, Any]) -> None:
        raise _Continue

    def _panic(self, node: tree.Panic, frame: dict[Any, Any]) -> None:
        self.require(False, node)
