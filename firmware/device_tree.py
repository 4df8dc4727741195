"""The flattened device tree (Devicetree Specification 0.4, chapter 5): what the machine has, and where the firmware
says that its memory is taken.

The tree comes from outside and may be damaged: every read is bounded by the header's sizes, which are checked against
the space that there is; the walk is one pass with bounded tokens and depth. What is wrong is a `TreeError`.
"""

from enum import IntEnum

from kernel.lang import *

MAGIC, VERSION, LAST_COMPATIBLE = 0xD00D_FEED, 17, 16
HEADER_BYTES = 40
AT_TOTAL, AT_BODY, AT_NAMES, AT_RESERVED, AT_VERSION, AT_COMPATIBLE = range(4, 28, 4)
AT_NAMES_SIZE, AT_BODY_SIZE = 32, 36
BEGIN_NODE, END_NODE, PROPERTY, NOP, END = 1, 2, 3, 4, 9

MAX_BYTES = 1 << 20
MAX_TOKENS = 1 << 16
MAX_DEPTH = 16
MAX_RANGES = 8
MAX_NAME = 64


@enum(u8)
class TreeError(IntEnum):
    """Why a device tree cannot be used."""

    NONE = 0
    BAD_MAGIC = 1
    BAD_VERSION = 2
    TRUNCATED = 3
    BAD_TOKEN = 4
    TOO_DEEP = 5
    BAD_CELLS = 6
    NO_MEMORY = 7
    NO_HARTS = 8
    BAD_ORDER = 9
    NO_ROOM = 10


@fn
def explain(error: TreeError) -> Str:
    """The error in words."""
    match error:
        case TreeError.NONE:
            return "nothing is wrong"
        case TreeError.BAD_MAGIC:
            return "it does not start with d00dfeed: a1 must be its address"
        case TreeError.BAD_VERSION:
            return "its version is not 17"
        case TreeError.TRUNCATED:
            return "it is cut off: a part reaches behind its size"
        case TreeError.BAD_TOKEN:
            return "it has an unknown token, or does not end"
        case TreeError.TOO_DEEP:
            return "its nodes are nested too deep, or end where none began"
        case TreeError.BAD_CELLS:
            return "#address-cells or #size-cells is not 1 or 2"
        case TreeError.NO_MEMORY:
            return "it names no memory"
        case TreeError.NO_HARTS:
            return "it names no hart that could run"
        case TreeError.BAD_ORDER:
            return "its blocks are not in the usual order: nothing can be added"
        case TreeError.NO_ROOM:
            return "there is no room behind it for the reservation"


@struct
class Range:
    """Bytes base .. base + size - 1."""

    base: u64
    size: u64


@struct
class Facts:
    """What the tree says. Offsets are into the tree; 0: not there.

    harts        bit n: hart n is there and not disabled
    insert_at    where a child of /reserved-memory (or, without one, of the root) can be inserted
    """

    ranges: Array[Range, MAX_RANGES]
    range_count: usize
    harts: u64
    hart_count: u32
    timebase_hz: u32
    isa_at: usize
    isa_length: usize
    initrd_start: u64
    initrd_end: u64
    insert_at: usize
    has_reserved: bool
    reserved_address_cells: u32
    reserved_size_cells: u32


@struct
class Token:
    """One token of the structure block: what it is, its name, its value, and where the next one is."""

    kind: u32
    at: usize
    name: usize
    name_length: usize
    value: usize
    length: usize
    next: usize


@struct
class Node:
    """What is known of the node that is open at one depth."""

    kind: u32
    address_cells: u32
    size_cells: u32
    reg_at: usize
    reg_length: usize
    isa_at: usize
    isa_length: usize
    disabled: bool
    is_type: bool  # device_type says what the place makes one expect


# kinds of nodes, as far as they matter
OTHER, ROOT, CPUS, CPU, MEMORY, CHOSEN, RESERVED = range(7)


@fn
def read_u32(tree: View[u8], at: usize) -> u32:
    """Big endian, as everything in a tree."""
    return u32(tree[at]) << 24 | u32(tree[at + 1]) << 16 | u32(tree[at + 2]) << 8 | u32(tree[at + 3])


@fn
def write_u32(tree: Span[u8], at: usize, value: u32) -> None:
    tree[at] = trunc(value >> 24, u8)
    tree[at + 1] = trunc(value >> 16, u8)
    tree[at + 2] = trunc(value >> 8, u8)
    tree[at + 3] = trunc(value, u8)


@fn
def read_cells(tree: View[u8], at: usize, cells: u32) -> u64:
    """A number of one or two cells."""
    low = u64(read_u32(tree, at))
    return low if cells == 1 else low << 32 | u64(read_u32(tree, at + 4))


@fn
def same(tree: View[u8], at: usize, length: usize, text: Str) -> bool:
    """Whether the `length` bytes at `at` are `text`."""
    if length != len(text):
        return False
    for i in bounded(range(length), MAX_NAME):
        if tree[at + i] != text[i]:
            return False
    return True


@fn
def starts(tree: View[u8], at: usize, length: usize, text: Str) -> bool:
    """Whether a node's name is `text`, or `text` and a unit address."""
    if length < len(text):
        return False
    return same(tree, at, len(text), text) and (length == len(text) or tree[at + len(text)] == 64)


@fn
def text_length(tree: View[u8], at: usize, end: usize) -> usize:
    """Bytes up to the zero; `end - at` when there is none."""
    here = at
    while bounded(here < end, MAX_BYTES):
        if tree[here] == 0:
            break
        here += 1
    return here - at


@fn
def total_size(header: View[u8]) -> u64:
    """What the header says of the tree's size; 0 when it is no tree."""
    return u64(read_u32(header, AT_TOTAL)) if read_u32(header, 0) == MAGIC else 0


@fn
def check_header(tree: View[u8]) -> TreeError:
    """Whether the parts that the header names lie inside."""
    if len(tree) < HEADER_BYTES:
        return TreeError.TRUNCATED
    if read_u32(tree, 0) != MAGIC:
        return TreeError.BAD_MAGIC
    if read_u32(tree, AT_VERSION) < VERSION or read_u32(tree, AT_COMPATIBLE) > VERSION:
        return TreeError.BAD_VERSION
    total = u64(read_u32(tree, AT_TOTAL))
    if total > u64(len(tree)) or total > MAX_BYTES:
        return TreeError.TRUNCATED
    if u64(read_u32(tree, AT_BODY)) + u64(read_u32(tree, AT_BODY_SIZE)) > total or read_u32(tree, AT_BODY) & 3 != 0:
        return TreeError.TRUNCATED
    if u64(read_u32(tree, AT_NAMES)) + u64(read_u32(tree, AT_NAMES_SIZE)) > total:
        return TreeError.TRUNCATED
    return TreeError.NONE


@fn
def next_token(tree: View[u8], token: Ptr[Token], end: usize) -> TreeError:
    """Reads the token at `token.next`; `end` is where the structure block ends."""
    at = token.next
    if at + 4 > end:
        return TreeError.TRUNCATED
    token.at = at
    token.kind = read_u32(tree, at)
    token.name = at + 4
    token.name_length = 0
    token.length = 0
    token.next = at + 4
    if token.kind == BEGIN_NODE:
        token.name_length = text_length(tree, at + 4, end)
        token.next = (at + 4 + token.name_length + 4) & ~usize(3)
    elif token.kind == PROPERTY:
        if at + 12 > end:
            return TreeError.TRUNCATED
        names = usize(read_u32(tree, AT_NAMES))
        names_size = usize(read_u32(tree, AT_NAMES_SIZE))
        offset = usize(read_u32(tree, at + 8))
        if offset >= names_size:
            return TreeError.TRUNCATED
        token.length = usize(read_u32(tree, at + 4))
        token.value = at + 12
        token.name = names + offset
        token.name_length = text_length(tree, token.name, names + names_size)
        token.next = (at + 12 + token.length + 3) & ~usize(3)
    elif token.kind != END_NODE and token.kind != NOP and token.kind != END:
        return TreeError.BAD_TOKEN
    return TreeError.TRUNCATED if token.next > end else TreeError.NONE


@fn
def kind_of(tree: View[u8], token: Ptr[Token], parent: u32) -> u32:
    """What a node is, by its parent and its name."""
    if parent == ROOT:
        if starts(tree, token.name, token.name_length, "memory"):
            return MEMORY
        if same(tree, token.name, token.name_length, "cpus"):
            return CPUS
        if same(tree, token.name, token.name_length, "chosen"):
            return CHOSEN
        if same(tree, token.name, token.name_length, "reserved-memory"):
            return RESERVED
    if parent == CPUS and starts(tree, token.name, token.name_length, "cpu"):
        return CPU
    return OTHER


@fn
def read_property(tree: View[u8], token: Ptr[Token], node: Ptr[Node], facts: Ptr[Facts]) -> None:
    """Notes a property of the open node."""
    name = token.name
    size = token.name_length
    if token.length == 4 and same(tree, name, size, "#address-cells"):
        node.address_cells = read_u32(tree, token.value)
    elif token.length == 4 and same(tree, name, size, "#size-cells"):
        node.size_cells = read_u32(tree, token.value)
    elif same(tree, name, size, "reg"):
        node.reg_at = token.value
        node.reg_length = token.length
    elif same(tree, name, size, "device_type"):
        wanted: Str = "cpu" if node.kind == CPU else "memory"
        node.is_type = token.length > 0 and same(tree, token.value, token.length - 1, wanted)
    elif same(tree, name, size, "status"):
        good = token.length > 0 and (
            same(tree, token.value, token.length - 1, "okay") or same(tree, token.value, token.length - 1, "ok")
        )
        node.disabled = not good
    elif node.kind == CPU and same(tree, name, size, "riscv,isa"):
        node.isa_at = token.value
        node.isa_length = token.length
    elif node.kind == CPUS and token.length == 4 and same(tree, name, size, "timebase-frequency"):
        facts.timebase_hz = read_u32(tree, token.value)
    elif node.kind == CHOSEN and (token.length == 4 or token.length == 8):
        if same(tree, name, size, "linux,initrd-start"):
            facts.initrd_start = read_cells(tree, token.value, trunc(token.length // 4, u32))
        elif same(tree, name, size, "linux,initrd-end"):
            facts.initrd_end = read_cells(tree, token.value, trunc(token.length // 4, u32))


@fn
def good_cells(cells: u32) -> bool:
    return cells == 1 or cells == 2


@fn
def close_node(tree: View[u8], at: usize, node: Ptr[Node], parent: Ptr[Node], facts: Ptr[Facts]) -> TreeError:
    """Takes what a node said, now that all of it is known. `at` is its END_NODE."""
    match node.kind:
        case 4:  # MEMORY
            if not node.is_type or node.disabled:
                return TreeError.NONE
            if not good_cells(parent.address_cells) or not good_cells(parent.size_cells):
                return TreeError.BAD_CELLS
            entry = usize(parent.address_cells + parent.size_cells) * 4
            for i in bounded(range(min(node.reg_length // entry, MAX_RANGES)), MAX_RANGES):
                if facts.range_count < MAX_RANGES:
                    here = node.reg_at + i * entry
                    found = ptr(facts.ranges[facts.range_count])
                    found.base = read_cells(tree, here, parent.address_cells)
                    found.size = read_cells(tree, here + usize(parent.address_cells) * 4, parent.size_cells)
                    # One that wraps around the address space is no memory.
                    if found.size != 0 and found.size <= ~found.base:
                        facts.range_count += 1
        case 3:  # CPU
            if not node.is_type or node.disabled:
                return TreeError.NONE
            if not good_cells(parent.address_cells):
                return TreeError.BAD_CELLS
            if node.reg_length == usize(parent.address_cells) * 4:
                hart = read_cells(tree, node.reg_at, parent.address_cells)
                facts.hart_count += 1
                if hart < 64:
                    facts.harts |= u64(1) << hart
                if facts.isa_length == 0:
                    facts.isa_at = node.isa_at
                    facts.isa_length = node.isa_length
        case 6:  # RESERVED
            facts.has_reserved = True
            facts.insert_at = at
            facts.reserved_address_cells = node.address_cells
            facts.reserved_size_cells = node.size_cells
            if not good_cells(node.address_cells) or not good_cells(node.size_cells):
                return TreeError.BAD_CELLS
        case 1:  # ROOT
            if not facts.has_reserved:
                facts.insert_at = at
                facts.reserved_address_cells = 2
                facts.reserved_size_cells = 2
                if node.address_cells != 2 or node.size_cells != 2:
                    return TreeError.BAD_CELLS
        case _:
            pass
    return TreeError.NONE


nodes = variable(Array[Node, MAX_DEPTH])
"""The open nodes, by depth, while a tree is read: too much for a firmware's stack."""


@fn
def read(tree: View[u8], facts: Ptr[Facts]) -> TreeError:
    """Reads the whole tree into `facts`."""
    error = check_header(tree)
    if error != TreeError.NONE:
        return error
    copy(nodes[0], zero(Node))
    depth: usize = 0
    token = Token(next=usize(read_u32(tree, AT_BODY)))
    end = token.next + usize(read_u32(tree, AT_BODY_SIZE))
    done = False
    for _ in range(MAX_TOKENS):
        error = next_token(tree, ptr(token), end)
        if error != TreeError.NONE:
            return error
        if token.kind == BEGIN_NODE:
            if depth + 1 >= MAX_DEPTH or (depth == 0 and facts.insert_at != 0):
                return TreeError.TOO_DEEP
            depth += 1
            copy(nodes[depth], zero(Node))
            nodes[depth].address_cells = 2
            nodes[depth].size_cells = 1
            nodes[depth].kind = ROOT if depth == 1 else kind_of(tree, ptr(token), nodes[depth - 1].kind)
        elif token.kind == END_NODE:
            if depth == 0:
                return TreeError.TOO_DEEP
            error = close_node(tree, token.at, ptr(nodes[depth]), ptr(nodes[depth - 1]), facts)
            if error != TreeError.NONE:
                return error
            depth -= 1
        elif token.kind == PROPERTY:
            if depth == 0:
                return TreeError.BAD_TOKEN
            read_property(tree, ptr(token), ptr(nodes[depth]), facts)
        elif token.kind == END:
            done = True
            break
    if not done or depth != 0:
        return TreeError.BAD_TOKEN
    if facts.range_count == 0:
        return TreeError.NO_MEMORY
    return TreeError.NO_HARTS if facts.hart_count == 0 else TreeError.NONE
