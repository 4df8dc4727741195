"""Reads a flattened device tree (Devicetree Specification 0.4, chapter 5), and trusts nothing in it.

`parse` walks the blob once, checks every offset, and fills a table of nodes; a parent's index is always less than its
child's, so every walk towards the root ends. After that a node is an index. No recursion, no pointer into the blob is
kept; all functions take the blob again.
"""

from enum import IntEnum

from kernel.lang import *

MAX_BYTES = 2 << 20
MAX_NODES = 1024
MAX_DEPTH = 16
MAX_TOKENS = 1 << 16
MAX_NAME = 256
NO_NODE = 0xFFFF

_MAGIC = 0xD00D_FEED
_HEADER_BYTES = 40
_BEGIN_NODE, _END_NODE, PROP, _NOP, _END = 1, 2, 3, 4, 9


@enum(u8)
class TreeError(IntEnum):
    """Why a device tree is refused."""

    NONE = 0
    BAD_MAGIC = 1
    TOO_BIG = 2
    TRUNCATED = 3
    BAD_VERSION = 4
    BAD_LAYOUT = 5
    BAD_TOKEN = 6
    BAD_NAME = 7
    TOO_DEEP = 8
    TOO_MANY_NODES = 9
    UNBALANCED = 10
    BAD_CELLS = 11
    DUPLICATE_PHANDLE = 12
    CYCLIC_PHANDLES = 13
    NO_MEMORY = 14
    TOO_MANY_REGIONS = 15


@struct
class Node:
    """A node: its name and its properties in the blob, its parent, its phandle (0: none).

    address_cells, size_cells: of its children's `reg`. interrupt_parent: phandle, 0 where it says none.
    """

    name: u32
    name_length: u16
    parent: u16
    properties: u32
    phandle: u32
    interrupt_parent: u32
    address_cells: u8
    size_cells: u8
    depth: u8


@struct
class Tree:
    """What `parse` found: nodes[:count], the root first, in the blob's order; where the strings are."""

    count: usize
    strings: u32
    strings_end: u32
    structure: u32
    structure_end: u32
    nodes: Array[Node, MAX_NODES]


@struct
class Range:
    """An address range."""

    base: u64
    size: u64


@fn
def be32(blob: View[u8], at: usize) -> u32:
    """The big-endian word at an offset that was checked."""
    return u32(blob[at]) << 24 | u32(blob[at + 1]) << 16 | u32(blob[at + 2]) << 8 | u32(blob[at + 3])


@fn
def total_bytes(header: View[u8]) -> u32:
    """How long the tree says it is; 0 when this is no device tree, or one of an impossible size."""
    if len(header) < _HEADER_BYTES or be32(header, 0) != _MAGIC:
        return 0
    total = be32(header, 4)
    return total if total >= _HEADER_BYTES and total <= MAX_BYTES else 0


@fn
def parse(blob: View[u8], tree: Ptr[Tree]) -> TreeError:
    """Checks the whole tree and fills the table of nodes."""
    tree.count = 0
    error = check_header(blob, tree)
    if error != TreeError.NONE:
        return error
    error = walk(blob, tree)
    if error != TreeError.NONE:
        return error
    return check_phandles(tree)


@fn
def check_header(blob: View[u8], tree: Ptr[Tree]) -> TreeError:
    """Section 5.2."""
    if len(blob) < _HEADER_BYTES:
        return TreeError.TRUNCATED
    if be32(blob, 0) != _MAGIC:
        return TreeError.BAD_MAGIC
    total = usize(be32(blob, 4))
    if total > MAX_BYTES:
        return TreeError.TOO_BIG
    if total < _HEADER_BYTES or total > len(blob):
        return TreeError.TRUNCATED
    if be32(blob, 20) < 17 or be32(blob, 24) > 17:
        return TreeError.BAD_VERSION
    structure = usize(be32(blob, 8))
    strings = usize(be32(blob, 12))
    structure_bytes = usize(be32(blob, 36))
    strings_bytes = usize(be32(blob, 32))
    if structure % 4 != 0 or structure_bytes % 4 != 0:
        return TreeError.BAD_LAYOUT
    if structure + structure_bytes > total or strings + strings_bytes > total:
        return TreeError.TRUNCATED
    tree.structure = trunc(structure, u32)
    tree.structure_end = trunc(structure + structure_bytes, u32)
    tree.strings = trunc(strings, u32)
    tree.strings_end = trunc(strings + strings_bytes, u32)
    return TreeError.NONE


@fn
def text_length(blob: View[u8], start: usize, end: usize) -> usize:
    """Bytes before the NUL; MAX_NAME when there is none before `end`, or only further away."""
    limit = min(end, start + MAX_NAME) if start < end else start
    at = start
    while bounded(at < limit, MAX_NAME):
        if blob[at] == 0:
            return at - start
        at += 1
    return MAX_NAME


@fn
def walk(blob: View[u8], tree: Ptr[Tree]) -> TreeError:
    """The structure block (section 5.4), token by token."""
    at = usize(tree.structure)
    end = usize(tree.structure_end)
    current: u16 = NO_NODE
    fresh = False  # properties come before children (5.4.1)
    for _ in range(MAX_TOKENS):
        if at + 4 > end:
            return TreeError.TRUNCATED
        token = be32(blob, at)
        at += 4
        if token == _BEGIN_NODE:
            length = text_length(blob, at, end)
            if length == MAX_NAME:
                return TreeError.BAD_NAME
            error = begin_node(tree, current, at, length)
            if error != TreeError.NONE:
                return error
            current = trunc(tree.count - 1, u16)
            at = (at + length + 1 + 3) // 4 * 4
            tree.nodes[usize(current)].properties = trunc(at, u32)
            fresh = True
        elif token == _END_NODE:
            if current == NO_NODE:
                return TreeError.UNBALANCED
            current = tree.nodes[usize(current)].parent
            fresh = False
        elif token == PROP:
            if current == NO_NODE or not fresh:
                return TreeError.BAD_LAYOUT
            if at + 8 > end:
                return TreeError.TRUNCATED
            bytes = usize(be32(blob, at))
            if bytes > end - at - 8:
                return TreeError.TRUNCATED
            name = usize(tree.strings) + usize(be32(blob, at + 4))
            if text_length(blob, name, usize(tree.strings_end)) == MAX_NAME:
                return TreeError.BAD_NAME
            error = note_property(blob, tree, ptr(tree.nodes[usize(current)]), name, at + 8, bytes)
            if error != TreeError.NONE:
                return error
            at = (at + 8 + bytes + 3) // 4 * 4
        elif token == _END:
            return TreeError.NONE if current == NO_NODE and tree.count > 0 else TreeError.UNBALANCED
        elif token != _NOP:
            return TreeError.BAD_TOKEN
    return TreeError.TOO_BIG


@fn
def begin_node(tree: Ptr[Tree], parent: u16, name: usize, length: usize) -> TreeError:
    """A new row of the table."""
    if tree.count == MAX_NODES:
        return TreeError.TOO_MANY_NODES
    if parent == NO_NODE and tree.count > 0:
        return TreeError.UNBALANCED  # a second root
    node = ptr(tree.nodes[tree.count])
    node.name = trunc(name, u32)
    node.name_length = trunc(length, u16)
    node.parent = parent
    node.properties = 0
    node.phandle = 0
    node.interrupt_parent = 0
    node.address_cells = 2  # section 2.3.5: what holds where nothing is said
    node.size_cells = 1
    node.depth = 0
    if parent != NO_NODE:
        node.depth = tree.nodes[usize(parent)].depth + 1
        if node.depth > MAX_DEPTH:
            return TreeError.TOO_DEEP
    tree.count += 1
    return TreeError.NONE


@fn
def note_property(
    blob: View[u8], tree: Ptr[Tree], node: Ptr[Node], name: usize, value: usize, bytes: usize
) -> TreeError:
    """Keeps the few properties that every lookup needs."""
    if bytes != 4:
        return TreeError.NONE
    number = be32(blob, value)
    end = usize(tree.strings_end)
    if text_is(blob, name, end, "phandle"):
        node.phandle = number
    elif text_is(blob, name, end, "interrupt-parent"):
        node.interrupt_parent = number
    elif text_is(blob, name, end, "#address-cells"):
        if number > 3:
            return TreeError.BAD_CELLS
        node.address_cells = trunc(number, u8)
    elif text_is(blob, name, end, "#size-cells"):
        if number > 2:
            return TreeError.BAD_CELLS
        node.size_cells = trunc(number, u8)
    return TreeError.NONE


@fn
def text_is(blob: View[u8], at: usize, end: usize, wanted: Str) -> bool:
    """Whether a NUL-terminated text is `wanted`."""
    if at + len(wanted) >= end:
        return False
    for i in bounded(range(len(wanted)), MAX_NAME):
        if blob[at + i] != wanted[i]:
            return False
    return blob[at + len(wanted)] == 0


@fn
def check_phandles(tree: Ptr[Tree]) -> TreeError:
    """No two nodes share a phandle, and every chain of interrupt parents ends (section 2.4)."""
    for i in bounded(range(tree.count), MAX_NODES):
        phandle = tree.nodes[i].phandle
        if phandle != 0 and usize(by_phandle(tree, phandle)) != i:
            return TreeError.DUPLICATE_PHANDLE
    for i in bounded(range(tree.count), MAX_NODES):
        if tree.nodes[i].interrupt_parent != 0:
            here = trunc(i, u16)
            steps: usize = 0
            while bounded(here != NO_NODE, MAX_NODES + 1):
                if steps > tree.count:
                    return TreeError.CYCLIC_PHANDLES
                above = interrupt_parent(tree, here)
                if above == here:  # the root of the interrupt tree may inherit itself
                    break
                here = above
                steps += 1
    return TreeError.NONE


@fn
def by_phandle(tree: Ptr[Tree], phandle: u32) -> u16:
    """The first node with this phandle."""
    for i in bounded(range(tree.count), MAX_NODES):
        if tree.nodes[i].phandle == phandle:
            return trunc(i, u16)
    return NO_NODE


@fn
def interrupt_parent(tree: Ptr[Tree], node: u16) -> u16:
    """Who takes the node's interrupts: its own interrupt-parent or the nearest one above."""
    here = node
    while bounded(here != NO_NODE, MAX_DEPTH + 2):
        phandle = tree.nodes[usize(here)].interrupt_parent
        if phandle != 0:
            return by_phandle(tree, phandle)
        here = tree.nodes[usize(here)].parent
    return NO_NODE


@fn
def find_property(blob: View[u8], tree: Ptr[Tree], node: u16, name: Str) -> usize:
    """The offset of the property's length word; 0 where the node has no such property."""
    at = usize(tree.nodes[usize(node)].properties)
    while bounded(at != 0, MAX_TOKENS):
        token = be32(blob, at)
        if token == PROP:
            if text_is(blob, usize(tree.strings) + usize(be32(blob, at + 8)), usize(tree.strings_end), name):
                return at + 4
            at = (at + 12 + usize(be32(blob, at + 4)) + 3) // 4 * 4
        elif token == _NOP:
            at += 4
        else:
            at = 0
    return 0


@fn
def has_property(blob: View[u8], tree: Ptr[Tree], node: u16, name: Str) -> bool:
    """Whether it is there, empty or not."""
    return find_property(blob, tree, node, name) != 0


@fn
def property(blob: View[u8], tree: Ptr[Tree], node: u16, name: Str) -> View[u8]:
    """The property's bytes; none where there is no such property."""
    at = find_property(blob, tree, node, name)
    if at == 0:
        return blob[0:0]
    return blob[at + 8 : at + 8 + usize(be32(blob, at))]


@fn
def property_word(blob: View[u8], tree: Ptr[Tree], node: u16, name: Str, otherwise: u32) -> u32:
    """A property of one cell."""
    value = property(blob, tree, node, name)
    return be32(value, 0) if len(value) == 4 else otherwise


@fn
def cell(value: View[u8], index: usize) -> u32:
    """A cell of a property; 0 behind its end."""
    return be32(value, index * 4) if (index + 1) * 4 <= len(value) else 0


@fn
def cells(value: View[u8], index: usize, count: usize) -> u64:
    """A number of 0, 1 or 2 cells (of 3, as in PCI addresses, the low two)."""
    number: u64 = 0
    for i in bounded(range(count), 3):
        number = number << 32 | u64(cell(value, index + i))
    return number


@fn
def is_compatible(blob: View[u8], tree: Ptr[Tree], node: u16, wanted: Str) -> bool:
    """Whether `compatible` lists it (section 2.3.1)."""
    value = property(blob, tree, node, "compatible")
    start: usize = 0
    while bounded(start < len(value), MAX_NAME):
        if text_is(value, start, len(value), wanted):
            return True
        while bounded(start < len(value) and value[start] != 0, MAX_BYTES):
            start += 1
        start += 1
    return False


@fn
def is_enabled(blob: View[u8], tree: Ptr[Tree], node: u16) -> bool:
    """Whether `status` lets it be used (section 2.3.4)."""
    value = property(blob, tree, node, "status")
    return len(value) == 0 or text_is(value, 0, len(value), "okay") or text_is(value, 0, len(value), "ok")


@fn
def find_compatible(blob: View[u8], tree: Ptr[Tree], first: u16, wanted: Str) -> u16:
    """The first enabled node from index `first` on that is compatible."""
    for i in bounded(range(usize(first), max(usize(first), tree.count)), MAX_NODES):
        node = trunc(i, u16)
        if is_compatible(blob, tree, node, wanted) and is_enabled(blob, tree, node):
            return node
    return NO_NODE


@fn
def name_starts(blob: View[u8], tree: Ptr[Tree], node: u16, wanted: Str) -> bool:
    """Whether the node's name, without its unit address, is `wanted` (section 2.2.1)."""
    length = usize(tree.nodes[usize(node)].name_length)
    start = usize(tree.nodes[usize(node)].name)
    if length < len(wanted):
        return False
    for i in bounded(range(len(wanted)), MAX_NAME):
        if blob[start + i] != wanted[i]:
            return False
    return length == len(wanted) or blob[start + len(wanted)] == 64  # "@"


@fn
def find_child(blob: View[u8], tree: Ptr[Tree], parent: u16, first: u16, wanted: Str) -> u16:
    """The first child of `parent` from index `first` on with this name, whatever its unit address."""
    for i in bounded(range(usize(first), max(usize(first), tree.count)), MAX_NODES):
        node = trunc(i, u16)
        if tree.nodes[i].parent == parent and name_starts(blob, tree, node, wanted):
            return node
    return NO_NODE


@fn
def translate(blob: View[u8], tree: Ptr[Tree], node: u16, range: Ptr[Range]) -> bool:
    """Turns an address on the node's bus into one of the CPU's, through the `ranges` above (section 2.3.8)."""
    bus = tree.nodes[usize(node)].parent
    while bounded(bus != NO_NODE and tree.nodes[usize(bus)].parent != NO_NODE, MAX_DEPTH + 1):
        if not has_property(blob, tree, bus, "ranges"):
            return False
        value = property(blob, tree, bus, "ranges")
        above = tree.nodes[usize(bus)].parent
        child_cells = usize(tree.nodes[usize(bus)].address_cells)
        parent_cells = usize(tree.nodes[usize(above)].address_cells)
        size_cells = usize(tree.nodes[usize(bus)].size_cells)
        row = child_cells + parent_cells + size_cells
        found = len(value) == 0  # empty: the same addresses
        at: usize = 0
        while bounded(not found and (at + row) * 4 <= len(value) and row > 0, MAX_TOKENS):
            start = cells(value, at, child_cells)
            size = cells(value, at + child_cells + parent_cells, size_cells)
            if start <= range.base and range.base - start < size:
                base = w64(cells(value, at + child_cells, parent_cells)) + w64(range.base - start)
                range.base = u64(base)
                found = True
            at += row
        if not found:
            return False
        bus = above
    return True


@fn
def read_reg(blob: View[u8], tree: Ptr[Tree], node: u16, index: usize, range: Ptr[Range]) -> bool:
    """Row `index` of the node's `reg`, as the CPU's address; false when there is none (section 2.3.6)."""
    parent = tree.nodes[usize(node)].parent
    if parent == NO_NODE:
        return False
    address_cells = usize(tree.nodes[usize(parent)].address_cells)
    size_cells = usize(tree.nodes[usize(parent)].size_cells)
    value = property(blob, tree, node, "reg")
    row = address_cells + size_cells
    if row == 0 or index >= MAX_TOKENS or (index + 1) * row * 4 > len(value):
        return False
    range.base = cells(value, index * row, address_cells)
    range.size = cells(value, index * row + address_cells, size_cells)
    return translate(blob, tree, node, range)
