"""C for expressions."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from kernel.lang import tree, types
from kernel.lang.emit_types import c_string, member, number
from kernel.lang.expressions import is_place
from kernel.lang.types import BOOL, ArrayType, EnumType, IntType, PtrType, RegistersType, SpanType

if TYPE_CHECKING:
    from kernel.lang.emit_c import Emitter

EFFECTS = (
    tree.Call,
    tree.CallPointer,
    tree.RegisterRead,
    tree.RegisterWrite,
    tree.VolatileRead,
    tree.VolatileWrite,
)
WORDS = {"+": "add", "-": "sub", "*": "mul", "//": "div", "%": "mod", "<<": "shl", ">>": "shr"}


def source_text(node: tree.Expression) -> str:
    """The source of an expression, for panic messages."""
    import linecache

    line = linecache.getline(node.span.file, node.span.line)
    return line[node.span.column : node.span.end_column].strip()


class EmitExpressions:
    """Emits expressions of one function. `names` holds the C names of its variables."""

    def __init__(self, emitter: "Emitter"):
        self.emitter = emitter
        self.types = emitter.types
        self.names: dict[tree.Variable, str] = {}
        self._temporaries = 0
        self._effects: dict[int, bool] = {}

    def temporary(self) -> str:
        """A fresh C name; Python source cannot contain it, since locals that look like it get another name."""
        self._temporaries += 1
        name = f"t{self._temporaries}"
        return self.temporary() if name in self.names.values() else name

    def effects(self, node: tree.Expression) -> bool:
        """Whether evaluating it does something that a sibling could see."""
        key = id(node)
        if key not in self._effects:
            below = (child for child in node.children() if isinstance(child, tree.Expression))
            self._effects[key] = isinstance(node, EFFECTS) or any(map(self.effects, below))
        return self._effects[key]

    def bare(self, node: tree.Expression) -> str:
        """An expression without the parentheses around it."""
        text = self.expression(node)
        return text[1:-1] if _wrapped(text) and not text.startswith("({") else text

    def operand(self, node: tree.Expression) -> str:
        """An expression that may stand next to an operator or in a condition."""
        return self.expression(node)

    def expression(self, node: tree.Expression) -> str:
        """Any expression; binary ones come in parentheses."""
        return getattr(self, f"_{type(node).__name__.lower()}")(node)

    def ordered(self, operands: list[tree.Expression], build: Callable[[list[str]], str]) -> str:
        """`build` of the operands' C, evaluated left to right where that can be seen."""
        loose = [o for o in operands if not isinstance(o, (tree.Const, tree.Text, tree.FnRef))]
        if len(loose) < 2 or not any(self.effects(o) for o in loose):
            return build([self.expression(o) for o in operands])
        lines, names = [], []
        for operand in operands:
            if operand not in loose:
                names.append(self.expression(operand))
                continue
            name = self.temporary()
            lines.append(f"{self.types.declare(operand.type, name)} = {self.bare(operand)};")
            names.append(name)
        return f"({{ {' '.join(lines)} {build(names)}; }})"

    # Values

    def _const(self, node: tree.Const) -> str:
        kind = node.type
        if node.value is None:
            return f"(({self.types.name(kind)})0)"
        if kind is BOOL:
            return "true" if node.value else "false"
        if isinstance(kind, EnumType):
            names = [n for n, v in kind.members.items() if v == node.value]
            return f"{node.value} /* {kind.name}.{names[0]} */" if names else str(node.value)
        return number(node.value, kind)

    def _text(self, node: tree.Text) -> str:
        return f"((Str){{(const u8 *){c_string(node.data)}, {len(node.data)}}})"

    def _fnref(self, node: tree.FnRef) -> str:
        from kernel.lang.emit_c import pointer_value

        return f"{pointer_value(node.function)}ull /* {node.function.name} */"

    def _local(self, node: tree.Local) -> str:
        return self.names[node.variable]

    def _global(self, node: tree.Global) -> str:
        return self.emitter.variable(node.variable)

    def _field(self, node: tree.Field) -> str:
        if isinstance(node.base, tree.Deref):
            return f"{self.expression(node.base.pointer)}->{member(node.name)}"
        return f"{self.expression(node.base)}.{member(node.name)}"

    def _deref(self, node: tree.Deref) -> str:
        return f"(*{self.expression(node.pointer)})"

    def _element(self, node: tree.Element) -> str:
        base, index = node.base, node.index
        if isinstance(base.type, SpanType):
            site = self._index_site(node)
            helper = self._span_helper("at", _AT, base.type)
            pointer = self.ordered([base, index], lambda t: f"{helper}({_strip(t[0])}, {_strip(t[1])}, {site})")
            return f"(*{pointer})"
        assert isinstance(base.type, ArrayType)
        length = base.type.count
        if not is_place(base):  # A part of what a call gave: C takes no address of it.
            array, position = self.temporary(), self.temporary()
            check = f"kp_index({position}, {number(length)}, {self._index_site(node)})"
            return (
                f"({{ {self.types.name(base.type)} {array} = {self.bare(base)}; "
                f"u64 {position} = {self.bare(index)}; {array}.e[{check}]; }})"
            )
        if isinstance(index, tree.Const):
            return f"{self.expression(base)}.e[{index.value}]"
        check = "{}"
        if not isinstance(index.type, IntType) or index.type.maximum >= length:
            check = f"kp_index({{}}, {number(length)}, {self._index_site(node)})"
        if (self.effects(base) or self.effects(index)) and not isinstance(base, (tree.Local, tree.Global)):
            array, position = self.temporary(), self.temporary()
            return (
                f"(*({{ {self.types.name(base.type)} *{array} = &{self.expression(base)}; "
                f"u64 {position} = {self.bare(index)}; &{array}->e[{check.format(position)}]; }}))"
            )
        if isinstance(base, tree.Deref):
            return f"{self.expression(base.pointer)}->e[{check.format(self.bare(index))}]"
        return f"{self.expression(base)}.e[{check.format(self.bare(index))}]"

    def _span_helper(self, word: str, template: str, kind: SpanType) -> str:
        """The C function `word` for spans of this type."""
        span, element = self.types.name(kind), self.types.name(kind.element)
        pointer = f"{element}{'' if element.endswith('*') else ' '}*" if kind.writable else f"{element} const *"
        return self.emitter.helper(
            (word, kind), lambda n: template.format(name=n, span=span, pointer=pointer), f"{word}_{span}"
        )

    def _index_site(self, node: tree.Element) -> str:
        return self.emitter.site(node.span, f"index out of bounds (index, length) in `{source_text(node)}`", 2)

    def _addressof(self, node: tree.AddressOf) -> str:
        place = node.place
        if isinstance(place, tree.Deref):
            return self.expression(place.pointer)
        text = self.expression(place)
        return text[2:-1] if text.startswith("(*") and _wrapped(text) else f"&{text}"

    # Operators

    def _unary(self, node: tree.Unary) -> str:
        kind, text = node.type, self.expression(node.operand)
        if node.op == "not":
            return f"!{text}" if not text[0].isdigit() else f"!({text})"
        assert isinstance(kind, IntType)
        if node.op == "~":
            return f"({kind.name})~{text}"
        if node.op == "-":
            if kind.wrapping:
                return f"({kind.name})(0u - {text})"
            site = self.emitter.site(node.span, f"`{source_text(node)}` overflows {kind.name}: 0 -", 2, True)
            return f"sub_{kind.name}(0, {self.bare(node.operand)}, {site})"
        bits = kind.width
        if node.op in ("clz", "ctz"):
            return f"({kind.name})kp_{node.op}({self.bare(node.operand)}, {bits})"
        if node.op == "popcount":
            return f"({kind.name})__builtin_popcountll({self.bare(node.operand)})"
        assert node.op == "byteswap"
        return text if bits == 8 else f"__builtin_bswap{bits}({self.bare(node.operand)})"

    def _binary(self, node: tree.Binary) -> str:
        return self.ordered([node.left, node.right], lambda t: self._binary_text(node, t[0], t[1]))

    def _binary_text(self, node: tree.Binary, left: str, right: str) -> str:
        kind, op = node.type, node.op
        if kind is BOOL:
            return f"(bool)((u8){left} {op} {right})"  # clang takes & of two bools for a mistyped &&
        assert isinstance(kind, IntType)
        name = kind.name
        if op in ("&", "|", "^"):
            return f"({left} {op} {right})"
        if op in ("min", "max"):
            return f"{op}_{name}({left}, {right})"
        if kind.wrapping and op in ("+", "-", "*"):
            # Through u32 at least, so that a product of two w16 is not a signed int.
            wide = "u32" if kind.width < 32 else name
            return f"({name})(({wide}){left} {op} {right})"
        constant = node.right.value if isinstance(node.right, tree.Const) else None
        if op in ("<<", ">>") and constant is not None:
            return f"({left} >> {constant})" if op == ">>" else f"({name})((u64){left} << {constant})"
        if op in ("//", "%") and constant is not None and not kind.signed:
            return f"({left} {'/' if op == '//' else '%'} {right})"
        what = {
            "//": "divides by zero",
            "%": "divides by zero",
            "<<": "shifts past the width of",
            ">>": "shifts past the width of",
        }
        why = what.get(op, "overflows")
        if op == "//" and kind.signed:
            why = "divides by zero or overflows"
        detail = f"`{source_text(node)}` {why}" + (f" {name}" if why != "divides by zero" else "")
        site = self.emitter.site(node.span, detail, 2, kind.signed)
        return f"{WORDS[op]}_{name}({_strip(left)}, {_strip(right)}, {site})"

    def _compare(self, node: tree.Compare) -> str:
        def build(texts: list[str]) -> str:
            # clang warns about comparisons that it can decide, such as x == x.
            if texts[0] == texts[1] and not self.effects(node.left):
                return f"(((void){texts[0]}, {'true' if node.op in ('==', '<=', '>=') else 'false'}))"
            if _never_equal(node):
                return f"(((void){texts[0]}, (void){texts[1]}, {'true' if node.op == '!=' else 'false'}))"
            return f"({texts[0]} {node.op} {texts[1]})"

        return self.ordered([node.left, node.right], build)

    def _logic(self, node: tree.Logic) -> str:
        left, right = self.expression(node.left), self.expression(node.right)
        if _variables(node.left) & _variables(node.right):
            left = f"(bool){left}"  # clang warns where one variable decides both sides; the cast keeps it out
        return f"({left} {'&&' if node.op == 'and' else '||'} {right})"

    def _select(self, node: tree.Select) -> str:
        name = self.types.name(node.type)
        text = f"({self.expression(node.condition)} ? {self.expression(node.then)} : {self.expression(node.otherwise)})"
        return f"({name}){text}" if isinstance(node.type, IntType) and node.type.width < 32 else text

    def _convert(self, node: tree.Convert) -> str:
        kind, text = node.type, self.expression(node.operand)
        name = self.types.name(kind)
        if node.kind == "widen" and isinstance(kind, PtrType):
            return text
        if node.kind in ("widen", "trunc", "raw"):
            return f"({name}){text}"
        have = self.types.name(node.operand.type)
        if node.kind == "exact":
            signed = isinstance(node.operand.type, IntType) and node.operand.type.signed
            site = self.emitter.site(node.span, f"`{source_text(node)}` does not fit {kind.name}", 1, signed)
            helper = self.emitter.helper(
                ("exact", kind, node.operand.type),
                lambda n: _EXACT.format(name=n, to=name, have=have),
                f"exact_{name}_from_{have}",
            )
            return f"{helper}({_strip(text)}, {site})"
        assert node.kind == "member" and isinstance(kind, EnumType)
        return self._member(kind, text, node)

    def _member(self, kind: EnumType, text: str, node: tree.Expression) -> str:
        site = self.emitter.site(node.span, f"not a member of {kind.name}", 1)

        def make(helper: str) -> str:
            cases = "\n".join(f"    case {value}: /* {n} */" for n, value in _distinct(kind))
            return _MEMBER.format(helper=helper, name=self.types.name(kind), base=kind.base.name, cases=cases)

        helper = self.emitter.helper(("member", kind), make, f"member_{self.types.name(kind)}")
        return f"{helper}({_strip(text)}, {site})"

    def _some(self, node: tree.Some) -> str:
        site = self.emitter.site(node.span, f"`{source_text(node)}` is None", 0)
        target = types.target_of(node.type)  # type: ignore[arg-type]
        if isinstance(target, RegistersType):  # an address in C
            return f"(u64)kp_some((const void *){self.expression(node.operand)}, {site})"
        return f"(({self.types.name(node.type)})kp_some({self.bare(node.operand)}, {site}))"

    # Bit fields, structs, spans

    def _bitsget(self, node: tree.BitsGet) -> str:
        bits = node.bits
        value = f"(({self.expression(node.operand)} >> {bits.lsb}) & {number((1 << bits.width) - 1)})"
        if bits.type is BOOL:
            return f"({value} != 0)"
        if isinstance(bits.type, EnumType):
            if set(bits.type.members.values()) >= set(range(1 << bits.width)) or bits.width > 16:
                return f"({self.types.name(bits.type)}){value}"
            return self._member(bits.type, value, node)
        return f"({self.types.name(bits.type)}){value}"

    def _bitsset(self, node: tree.BitsSet) -> str:
        bits, base = node.bits, node.type.base  # type: ignore[attr-defined]
        mask = (1 << bits.width) - 1
        keep = ((1 << base.width) - 1) & ~(mask << bits.lsb)

        def build(texts: list[str]) -> str:
            value, old = texts
            width = 1 if bits.type is BOOL else 8 * bits.type.size
            if width > bits.width and not isinstance(node.value, tree.Const):
                text = f"value does not fit the {bits.width} bits of {bits.name} (value, maximum)"
                value = f"kp_fit({value}, {number(mask)}, {self.emitter.site(node.span, text, 2)})"
            name = self.types.name(node.type)
            shifted = f"(u64){value} << {bits.lsb}" if bits.lsb else f"(u64){value}"
            if isinstance(node.operand, tree.Const) and node.operand.value == 0:
                return f"({name})({shifted})"
            return f"({name})(({old} & {number(keep)}) | ({shifted}))"

        return self.ordered([node.value, node.operand], build)

    def _new(self, node: tree.New) -> str:
        name = self.types.name(node.type)
        if not node.values:
            return f"({name}){{0}}"
        if isinstance(node.type, ArrayType):
            return self.ordered(node.values, lambda t: f"({name}){{{{{', '.join(map(_strip, t))}}}}}")

        def build(texts: list[str]) -> str:
            items = (f".{member(str(k))} = {_strip(t)}" for k, t in zip(node.keys, texts, strict=True))
            return f"({name}){{{', '.join(items)}}}"

        return self.ordered(node.values, build)

    def _makespan(self, node: tree.MakeSpan) -> str:
        name = self.types.name(node.type)
        base = node.base
        if isinstance(base.type, PtrType):
            array = types.target_of(base.type)
            assert isinstance(array, ArrayType)
            pointer = self.expression(base)
            if pointer.startswith("&"):
                return f"(({name}){{{pointer[1:]}.e, {array.count}}})"
            return f"(({name}){{({pointer})->e, {array.count}}})"
        if node.start is None and node.stop is None:
            part = self.temporary()
            have = self.types.declare(base.type, part)
            return f"({{ {have} = {self.bare(base)}; ({name}){{{part}.data, {part}.length}}; }})"
        whole, start, stop = (self.temporary() for _ in range(3))
        text = f"slice out of bounds (start, stop) in `{source_text(node)}`"
        site = self.emitter.site(node.span, text, 2)
        begin = self.bare(node.start) if node.start else "0"
        end = self.bare(node.stop) if node.stop else f"{whole}.length"
        helper = self._span_helper("part", _PART, node.type)  # type: ignore[arg-type]
        first = f"{self.types.declare(base.type, whole)} = {self.bare(base)};"
        if base.type is types.STR:
            first += f" {name} {whole}v = {{{whole}.data, {whole}.length}};"
            whole += "v"
        return f"({{ {first} u64 {start} = {begin}; u64 {stop} = {end}; {helper}({whole}, {start}, {stop}, {site}); }})"

    def _spanlength(self, node: tree.SpanLength) -> str:
        return f"{self.expression(node.operand)}.length"

    # Calls and registers

    def _call(self, node: tree.Call) -> str:
        name = self.emitter.function(node.function)
        return self.ordered(node.arguments, lambda t: f"{name}({', '.join(map(_strip, t))})")

    def _callpointer(self, node: tree.CallPointer) -> str:
        name = self.emitter.dispatch(node.kind)
        site = self.emitter.site(node.span, f"`{source_text(node)}`: the pointer is no {node.kind.name}", 0)
        return self.ordered([node.pointer, *node.arguments], lambda t: f"{name}({', '.join(map(_strip, t))}, {site})")

    def _register_address(self, block: str, offset: tree.Expression, text: str) -> str:
        if isinstance(offset, tree.Const):
            return f"{block} + {number(offset.value)}" if offset.value else block
        return f"{block} + {text}"

    def _registerread(self, node: tree.RegisterRead) -> str:
        def build(texts: list[str]) -> str:
            address = self._register_address(texts[0], node.offset, texts[1])
            return f"({self.types.name(node.type)})kp_mmio_read({address}, {node.width})"

        return self.ordered([node.block, node.offset], build)

    def _registerwrite(self, node: tree.RegisterWrite) -> str:
        def build(texts: list[str]) -> str:
            address = self._register_address(texts[0], node.offset, texts[1])
            return f"kp_mmio_write({address}, {node.width}, {_strip(texts[2])})"

        return self.ordered([node.block, node.offset, node.value], build)

    def _volatileread(self, node: tree.VolatileRead) -> str:
        return f"(*(volatile {self.types.name(node.type)} *){self.expression(node.pointer)})"

    def _volatilewrite(self, node: tree.VolatileWrite) -> str:
        name = self.types.name(node.value.type)
        return self.ordered([node.pointer, node.value], lambda t: f"*(volatile {name} *){t[0]} = {_strip(t[1])}")

    def _checked(self, node: tree.Checked) -> str:
        text = self.bare(node.operand)
        if isinstance(node.operand.type, IntType) and node.operand.type.maximum < node.length:
            return f"(w64){self.expression(node.operand)}"
        site = self.emitter.site(node.span, f"index out of bounds (index, length) in `{source_text(node)}`", 2)
        return f"kp_index({text}, {number(node.length)}, {site})"

    def _address(self, node: tree.Address) -> str:
        return f"(({self.types.name(node.type)}){self.expression(node.operand)})"


_AT = """KP_HELPER {pointer}{name}({span} span, u64 index, PanicSite *site) {{
    return &span.data[kp_index(index, span.length, site)];
}}"""

_PART = """KP_HELPER {span} {name}({span} span, u64 start, u64 stop, PanicSite *site) {{
    if (KP_UNLIKELY(start > stop || stop > span.length)) kernel_panic(site, start, stop);
    return ({span}){{start ? span.data + start : span.data, stop - start}};
}}"""

_EXACT = """KP_HELPER {to} {name}({have} value, PanicSite *site) {{
    {to} result;
    if (KP_UNLIKELY(__builtin_add_overflow(value, ({have})0, &result))) kernel_panic(site, (u64)value, 0);
    return result;
}}"""

_MEMBER = """KP_HELPER {name} {helper}({base} value, PanicSite *site) {{
    switch (value) {{
{cases}
        return ({name})value;
    default:
        kernel_panic(site, value, 0);
    }}
}}"""


def _variables(node: tree.Expression) -> set[object]:
    return {part.variable for part in node.walk() if isinstance(part, (tree.Local, tree.Global))}


def _never_equal(node: tree.Compare) -> bool:
    """`x & mask == c` with bits in c outside of the mask, or `x | mask == c` with bits of the mask missing in c."""
    masked, constant = (node.left, node.right) if isinstance(node.right, tree.Const) else (node.right, node.left)
    if node.op not in ("==", "!=") or not isinstance(constant, tree.Const) or not isinstance(masked, tree.Binary):
        return False
    mask = masked.right if isinstance(masked.right, tree.Const) else masked.left
    if not isinstance(mask, tree.Const) or masked.op not in ("&", "|"):
        return False
    return bool(constant.value & ~mask.value if masked.op == "&" else mask.value & ~constant.value)


def _distinct(kind: EnumType) -> list[tuple[str, int]]:
    """Members without aliases."""
    seen: dict[int, str] = {}
    for name, value in kind.members.items():
        seen.setdefault(value, name)
    return [(name, value) for value, name in seen.items()]


def _wrapped(text: str) -> bool:
    """Whether one pair of parentheses encloses the whole text."""
    if not text.startswith("(") or not text.endswith(")"):
        return False
    depth, quoted, escaped = 0, False, False
    for position, char in enumerate(text):
        if quoted:
            quoted, escaped = (char != '"' or escaped), char == "\\" and not escaped
            continue
        quoted = char == '"'
        depth += (char == "(") - (char == ")")
        if depth == 0 and position < len(text) - 1:
            return False
    return True


def _strip(text: str) -> str:
    """Without the parentheses around it, where that is an argument."""
    return text[1:-1] if _wrapped(text) and not text.startswith(("({", "((")) else text
