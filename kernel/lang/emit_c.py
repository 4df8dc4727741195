"""C for programs: one readable translation unit, with `#line` back to the Python source.

Evaluation order. The tree evaluates left to right; C does not promise it. Operands are only written side by side where
no order can be seen; where one of them has an effect, all go into temporaries first, in order, inside a GNU statement
expression. (When two operands may both panic, the order decides only which panic is reported; clang takes the left.)
"""

from collections.abc import Callable

from kernel.lang import tree, types
from kernel.lang.declare import Assembly, Function, Variable, closure_names
from kernel.lang.emit_statements import Statements
from kernel.lang.emit_types import RESERVED, TypeNames, c_string, identifier
from kernel.lang.errors import Span, short_file
from kernel.lang.program import Program
from kernel.lang.types import NEVER, FnPtrType, Type

HEADER = "/* Generated from Kernel Python. Do not edit: edit the .py file that the #line directives name. */\n"


def pointer_value(function: Function) -> int:
    """What stands for a function in function pointers: the same in every build, never 0 (FNV-1a, 63 bits)."""
    value = 0xCBF29CE484222325
    for byte in function.identity.encode():
        value = (value ^ byte) * 0x100000001B3 & (1 << 64) - 1
    return value >> 1 | 1


class Emitter:
    """Makes the C of one program.

    Parameters
    ----------
    program : Program
    native : bool
        Host-native build: variables live in Python's memory, MMIO and assembly models are Python callbacks.
    """

    def __init__(self, program: Program, *, native: bool):
        self.program = program
        self.native = native
        self.types = TypeNames()
        self.function_names: dict[Function | Assembly, str] = {}
        self.variable_names: dict[Variable, str] = {}
        self.sites: dict[tuple[str, str, str, int, int, bool], int] = {}
        self.helpers: dict[object, tuple[str, str]] = {}
        self.assembly: list[Assembly] = []
        for function in program.bodies:
            self.function_names[function] = self._function_name(function)
        for variable in program.variables:
            name = identifier(f"{variable.module}__{variable.name}".replace(".", "_"))
            if variable.symbol is None or native:
                self.variable_names[variable] = self.types.unique(name)
            else:
                self.variable_names[variable] = self.types.claim(variable.symbol)

    def _function_name(self, function: Function | Assembly) -> str:
        if isinstance(function, Function) and function.symbol and not (self.native and function.symbol in RESERVED):
            return self.types.claim(function.symbol)
        path = f"{function.module.replace('.', '_')}__{function.qualname.replace('<locals>.', '')}"
        return self.types.unique(identifier("_".join([path, *closure_names(function)])))

    # What expressions and statements ask for

    def site(self, span: Span, text: str, values: int, signed: bool = False) -> str:
        """A reference to the PanicSite of one check."""
        key = (span.short_file, span.function, text, span.line, values, signed)
        return f"KP_SITE({self.sites.setdefault(key, len(self.sites))})"

    def helper(self, key: object, make: Callable[[str], str], wanted: str) -> str:
        """The name of a small generated C function, made on first use; `make(name)` gives its definition."""
        if key not in self.helpers:
            name = self.types.unique(wanted)
            self.helpers[key] = (name, make(name))
        return self.helpers[key][0]

    def function(self, function: Function | Assembly) -> str:
        """The C name of a function or intrinsic."""
        if isinstance(function, Assembly) and function not in self.function_names:
            self.function_names[function] = self._function_name(function)
            self.assembly.append(function)
        return self.function_names[function]

    def variable(self, variable: Variable) -> str:
        """A module variable as an lvalue."""
        name = self.variable_names[variable]
        return f"(*{name})" if self.native and not variable.constant else name

    def dispatch(self, kind: FnPtrType) -> str:
        """The C function that calls through a pointer of this type: a switch over its known targets."""
        return self.helper(("dispatch", kind), lambda name: self._dispatch(kind, name), f"call_{kind.name}")

    # The pieces of the file

    def _dispatch(self, kind: FnPtrType, name: str) -> str:
        arguments = [f"a{i}" for i in range(len(kind.parameters))]
        declared = [self.types.declare(k, a) for k, a in zip(kind.parameters, arguments, strict=True)]
        head = ", ".join([f"{self.types.name(kind)} target", *declared, "PanicSite *site"])
        lines = [f"static {self._result(kind.result)} {name}({head}) {{", "    switch (target) {"]
        for target in self.program.targets.get(kind, []):
            call = f"{self.function(target)}({', '.join(arguments)})"
            jump = f"{call}; return" if kind.result in (types.VOID, NEVER) else f"return {call}"
            lines.append(f"    case {pointer_value(target)}ull: {jump};")
        lines += ["    default: kernel_panic(site, target, 0);", "    }", "}"]
        return "\n".join(lines)

    def _result(self, kind: Type) -> str:
        return "_Noreturn void" if kind is NEVER else self.types.name(kind)

    def _head(self, function: Function, names: list[str]) -> str:
        """The C declaration of a function whose parameters have these C names."""
        body = self.program.bodies[function]
        declared = [self.types.declare(v.type, n) for v, n in zip(body.parameters, names, strict=True)]
        return f"{self._result(body.result)} {self.function_names[function]}({', '.join(declared) or 'void'})"

    def _called(self) -> set[Function]:
        """Functions that other functions call: they can be static."""
        return {callee for function in self.program.bodies for callee in self.program.callees(function)}

    def emit(self) -> str:
        """The whole translation unit."""
        called, roots = self._called(), set(self.program.roots)
        prototypes, definitions = [], []
        for function, body in self.program.bodies.items():
            static = function in called and function not in roots and not function.symbol and not function.entry
            linkage = "static " if static else ""
            attributes = f'__attribute__((section("{function.section}"))) ' if function.section else ""
            if static and function.inline:
                attributes += "__attribute__((always_inline)) "
                linkage = "static inline "
            statements = Statements(self, body)
            head = self._head(function, statements.parameter_names())
            prototypes.append(f"{attributes}{linkage}{head};")
            place = f'#line {function.line} "{short_file(function.file)}"\n'
            definitions.append(f"{place}{linkage}{head} {{\n{statements.emit()}}}\n")
        variables = [self._variable(v, initial) for v, initial in self.program.variables.items()]
        wrappers = self._native_part() if self.native else []
        intrinsics = [self._intrinsic(a) for a in self.assembly]
        for _, value in self.program.variables.items():
            if value is not None:
                self.types.name(value.type)
        helpers = [text for _, text in self.helpers.values()]
        definitions_of_types = self.types.finish()
        parts = [
            HEADER + '#include "runtime.h"\n',
            *([] if self.native else ['#include "runtime_memory.h"\n']),
            *definitions_of_types,
            "",
            *self._sites(),
            *intrinsics,
            *prototypes,
            "",
            *variables,
            "",
            *helpers,
            "",
            *definitions,
            *wrappers,
        ]
        return "\n".join(parts) + "\n"

    def _sites(self) -> list[str]:
        """One by one, not as an array: a linker leaves out those of functions that it leaves out."""
        lines = []
        for (file, function, text, line, values, signed), number in self.sites.items():
            strings = ", ".join(_str(t) for t in (file, function, text))
            value = f"{{{strings}, {line}, {values}, {'true' if signed else 'false'}}}"
            lines.append(f"static const PanicSite kp_site_{number} = {value};")
        return lines

    def _variable(self, variable: Variable, initial: tree.Expression | None) -> str:
        name, kind = self.variable_names[variable], variable.type
        if self.native and not variable.constant:
            return f"{self.types.declare(kind, '*' + name)};"
        if variable.external:
            return f"extern {self.types.declare(kind, name)};"
        value = "" if initial is None else f" = {self._initializer(initial)}"
        storage = ("" if variable.symbol else "static ") + ("const " if variable.constant else "")
        attributes = [f"aligned({variable.align})"] if variable.align else []
        attributes += [f'section("{variable.section}")'] if variable.section else []
        attribute = f"__attribute__(({', '.join(attributes)})) " if attributes else ""
        return f"{attribute}{storage}{self.types.declare(kind, name)}{value};"

    def _initializer(self, value: tree.Expression) -> str:
        if isinstance(value, tree.New):
            if isinstance(value.type, types.ArrayType):
                items = ", ".join(self._initializer(v) for v in value.values)
                return f"{{{{{items}}}}}"
            from kernel.lang.emit_types import member

            items = ", ".join(
                f".{member(str(k))} = {self._initializer(v)}" for k, v in zip(value.keys, value.values, strict=True)
            )
            return f"{{{items}}}" if items else "{0}"
        if isinstance(value, tree.Text):
            return _str(value.data.decode())
        text = Statements(self, None).expression(value)
        return text

    def _intrinsic(self, intrinsic: Assembly) -> str:
        signature = self.program.signatures[intrinsic]
        name = self.function_names[intrinsic]
        declared = [self.types.declare(k, n) for n, k in signature.parameters]
        head = f"{self._result(signature.result)} {name}({', '.join(declared) or 'void'})"
        if self.native:
            result = self.types.name(signature.result)
            pointer = f"{result} (*kpm_{name})({', '.join(declared) or 'void'});"
            call = f"kpm_{name}({', '.join(n for n, _ in signature.parameters)})"
            keep = "" if signature.result in (types.VOID, NEVER) else f"{result} result = "
            back = "" if not keep else " return result;"
            end = " __builtin_unreachable();" if signature.result is NEVER else ""
            call = f"{keep}{call}; kp_after_callback();{back}{end}"
            return f"{pointer}\nvoid kp_after_callback(void);\nstatic {head} {{ {call} }}"
        operands = {n: f"%[{n}]" for n, _ in signature.parameters}
        outputs = ""
        body = []
        if signature.result not in (types.VOID, NEVER):
            body.append(f"    {self.types.declare(signature.result, 'result')};")
            operands["result"] = "%[result]"
            outputs = f'[result] "={intrinsic.constraints.get("result", "r")}"(result)'
        inputs = ", ".join(f'[{n}] "{intrinsic.constraints.get(n, "r")}"({n})' for n, _ in signature.parameters)
        clobbers = ", ".join(f'"{c}"' for c in intrinsic.clobbers)
        template = c_string(intrinsic.template.format(**operands).encode()).replace("\\012", "\\n\\t")
        body.append(f"    __asm__ volatile ({template} : {outputs} : {inputs} : {clobbers});")
        if outputs:
            body.append("    return result;")
        elif signature.result is NEVER:
            body.append("    __builtin_unreachable();")
        return f"static inline {head} {{\n" + "\n".join(body) + "\n}"

    def _native_part(self) -> list[str]:
        from kernel.lang.native_support import wrappers

        return wrappers(self)


def _str(text: str) -> str:
    data = text.encode()
    return f"{{(const u8 *){c_string(data)}, {len(data)}}}"
