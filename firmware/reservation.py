"""Adds the firmware's memory to a device tree: a child of /reserved-memory with `no-map`, as the kernel's
Documentation/devicetree/bindings/reserved-memory and other firmware have it.

The tree grows in place: what lies behind the place of insertion moves up, names that are missing go to the end of the
strings block, and the header's offsets and sizes follow. All sizes are known before the first byte is changed.
"""

from firmware import device_tree
from firmware.device_tree import (
    AT_BODY,
    AT_BODY_SIZE,
    AT_NAMES,
    AT_NAMES_SIZE,
    AT_RESERVED,
    AT_TOTAL,
    BEGIN_NODE,
    END_NODE,
    HEADER_BYTES,
    MAX_BYTES,
    MAX_NAME,
    PROPERTY,
    Facts,
    TreeError,
)
from kernel.lang import *

PREFIX = "mmode_resv0@"
MOST_ADDED = 256
"""Bytes that a reservation needs at most, names included."""


@struct
class Writer:
    """Where the next byte goes, and where the next new name."""

    at: usize
    names: usize
    names_end: usize


@fn
def find_name(tree: View[u8], names: usize, end: usize, text: Str) -> usize:
    """Offset of a name in the strings block `names..end`, or its size when it is not there."""
    here = names
    while bounded(here < end, MAX_BYTES):
        length = device_tree.text_length(tree, here, end)
        if here + length == end:
            break  # the last one has no end
        # Names may share tails.
        if length >= len(text) and device_tree.same(tree, here + length - len(text), len(text), text):
            return here + length - len(text) - names
        here += length + 1
    return end - names


@fn
def name_bytes(tree: View[u8], names: usize, end: usize, text: Str) -> usize:
    """Bytes that the strings block grows by for a name."""
    return len(text) + 1 if find_name(tree, names, end, text) == end - names else 0


@fn
def put(tree: Span[u8], writer: Ptr[Writer], value: u32) -> None:
    device_tree.write_u32(tree, writer.at, value)
    writer.at += 4


@fn
def put_number(tree: Span[u8], writer: Ptr[Writer], value: u64, cells: u32) -> None:
    if cells == 2:
        put(tree, writer, trunc(value >> 32, u32))
    put(tree, writer, trunc(value, u32))


@fn
def put_text(tree: Span[u8], at: usize, text: Str) -> usize:
    """Stores text without its zero; gives the place behind."""
    for i in bounded(range(len(text)), MAX_NAME):
        tree[at + i] = text[i]
    return at + len(text)


@fn
def put_property(tree: Span[u8], writer: Ptr[Writer], name: Str, length: u32) -> None:
    """The head of a property; its value follows."""
    offset = find_name(view(tree), writer.names, writer.names_end, name)
    if offset == writer.names_end - writer.names:
        end = put_text(tree, writer.names_end, name)
        tree[end] = 0
        writer.names_end = end + 1
    put(tree, writer, PROPERTY)
    put(tree, writer, length)
    put(tree, writer, trunc(offset, u32))


@fn
def hex_digits(value: u64) -> usize:
    return usize(max((67 - clz(value)) // 4, 1))


@fn
def put_hex(tree: Span[u8], at: usize, value: u64) -> usize:
    """Stores lower-case hexadecimal; gives the place behind."""
    digits = hex_digits(value)
    for i in bounded(range(digits), 16):
        digit = trunc(value >> 4 * (digits - 1 - i) & 15, u8)
        tree[at + i] = digit + (48 if digit < 10 else 87)
    return at + digits


@fn
def reserve(tree: Span[u8], facts: Ptr[Facts], base: u64, size: u64) -> TreeError:
    """Adds the reservation; `tree` is all the space that the tree may take."""
    whole = view(tree)
    total = usize(device_tree.read_u32(whole, AT_TOTAL))
    body = usize(device_tree.read_u32(whole, AT_BODY))
    body_size = usize(device_tree.read_u32(whole, AT_BODY_SIZE))
    names = usize(device_tree.read_u32(whole, AT_NAMES))
    names_end = names + usize(device_tree.read_u32(whole, AT_NAMES_SIZE))
    reserved = usize(device_tree.read_u32(whole, AT_RESERVED))
    if reserved < HEADER_BYTES or reserved >= body or names < body + body_size or facts.insert_at == 0:
        return TreeError.BAD_ORDER
    address_cells = facts.reserved_address_cells
    size_cells = facts.reserved_size_cells
    name_length = len(PREFIX) + hex_digits(base)
    reg_bytes = (address_cells + size_cells) * 4
    added = 4 + (name_length + 4 & ~usize(3)) + 12 + usize(reg_bytes) + 12 + 4
    if not facts.has_reserved:
        added += 4 + 16 + 16 + 16 + 12 + 4
    grown = (
        name_bytes(whole, names, names_end, "#address-cells")
        + name_bytes(whole, names, names_end, "#size-cells")
        + name_bytes(whole, names, names_end, "ranges")
        + name_bytes(whole, names, names_end, "reg")
        + name_bytes(whole, names, names_end, "no-map")
    )
    if max(total, names_end) + added + grown > len(tree):
        return TreeError.NO_ROOM
    moved = max(total, names_end) - facts.insert_at
    for i in bounded(range(moved), MAX_BYTES):
        tree[facts.insert_at + added + (moved - 1 - i)] = tree[facts.insert_at + (moved - 1 - i)]
    writer = Writer(at=facts.insert_at, names=names + added, names_end=names_end + added)
    if not facts.has_reserved:
        put(tree, ptr(writer), BEGIN_NODE)
        tree[put_text(tree, writer.at, "reserved-memory")] = 0
        writer.at += 16
        put_property(tree, ptr(writer), "#address-cells", 4)
        put(tree, ptr(writer), address_cells)
        put_property(tree, ptr(writer), "#size-cells", 4)
        put(tree, ptr(writer), size_cells)
        put_property(tree, ptr(writer), "ranges", 0)
    put(tree, ptr(writer), BEGIN_NODE)
    end = put_hex(tree, put_text(tree, writer.at, PREFIX), base)
    after = writer.at + (name_length + 4 & ~usize(3))
    for i in bounded(range(end, after), 4):
        tree[i] = 0
    writer.at = after
    put_property(tree, ptr(writer), "reg", reg_bytes)
    put_number(tree, ptr(writer), base, address_cells)
    put_number(tree, ptr(writer), size, size_cells)
    put_property(tree, ptr(writer), "no-map", 0)
    put(tree, ptr(writer), END_NODE)
    if not facts.has_reserved:
        put(tree, ptr(writer), END_NODE)
    assert writer.at == facts.insert_at + added, "the reservation has another size than computed"
    device_tree.write_u32(tree, AT_BODY_SIZE, trunc(body_size + added, u32))
    device_tree.write_u32(tree, AT_NAMES, trunc(names + added, u32))
    device_tree.write_u32(tree, AT_NAMES_SIZE, trunc(writer.names_end - (names + added), u32))
    device_tree.write_u32(tree, AT_TOTAL, trunc(max(total + added, writer.names_end), u32))
    return TreeError.NONE
