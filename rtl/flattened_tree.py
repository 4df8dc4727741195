"""Flattened device trees: the blob that firmware and kernels read (Devicetree Specification 0.4, chapter 5).

A tree is made of `Node`s with properties as bytes; `cells`, `cells64` and `strings` make the usual kinds.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

MAGIC = 0xD00D_FEED
VERSION = 17
LAST_COMPATIBLE_VERSION = 16
HEADER = struct.Struct(">10I")

BEGIN_NODE, END_NODE, PROPERTY, NOP, END = 1, 2, 3, 4, 9


def cells(*values: int) -> bytes:
    """32-bit numbers."""
    return struct.pack(f">{len(values)}I", *values)


def cells64(*values: int) -> bytes:
    """64-bit numbers, two cells each."""
    return struct.pack(f">{len(values)}Q", *values)


def strings(*values: str) -> bytes:
    """Null-terminated strings, one after the other."""
    return b"".join(value.encode("ascii") + b"\0" for value in values)


@dataclass
class Node:
    """A node; the root's name is empty. Properties keep their order, and so do children."""

    name: str
    properties: dict[str, bytes] = field(default_factory=dict)
    children: list["Node"] = field(default_factory=list)

    def add(self, name: str, **properties: bytes) -> "Node":
        """Adds a child. Property names with characters that Python has not are set by `child.properties[...]`."""
        child = Node(name, dict(properties))
        self.children.append(child)
        return child

    def find(self, path: str) -> "Node":
        """The node at a path from here, such as "/soc/serial@10000000"."""
        node = self
        for part in path.strip("/").split("/"):
            if not part:
                continue
            for child in node.children:
                if child.name == part:
                    node = child
                    break
            else:
                have = ", ".join(child.name for child in node.children) or "nothing"
                raise KeyError(f"no node {part!r} of {path!r} in {node.name or '/'}; it has {have}")
        return node

    def walk(self, path: str = "") -> Iterator[tuple[str, "Node"]]:
        """All nodes with their paths, this one first."""
        here = f"{path}/{self.name}" if self.name else path
        yield here or "/", self
        for child in self.children:
            yield from child.walk(here)


def _padded(blob: bytes) -> bytes:
    return blob + bytes(-len(blob) % 4)


def flatten(root: Node) -> bytes:
    """The tree as a blob (version 17)."""
    names = bytearray()
    name_offsets: dict[str, int] = {}
    body = bytearray()

    def emit(node: Node) -> None:
        body.extend(cells(BEGIN_NODE) + _padded(strings(node.name)))
        for name, value in node.properties.items():
            if name not in name_offsets:
                name_offsets[name] = len(names)
                names.extend(strings(name))
            body.extend(cells(PROPERTY, len(value), name_offsets[name]) + _padded(value))
        for child in node.children:
            emit(child)
        body.extend(cells(END_NODE))

    emit(root)
    body.extend(cells(END))
    reservations = cells64(0, 0)
    at_reservations = HEADER.size
    at_body = at_reservations + len(reservations)
    at_names = at_body + len(body)
    total = at_names + len(names)
    header = HEADER.pack(
        MAGIC, total, at_body, at_names, at_reservations, VERSION, LAST_COMPATIBLE_VERSION, 0, len(names), len(body)
    )
    return header + reservations + bytes(body) + bytes(names)


def unflatten(blob: bytes) -> Node:
    """The tree in a blob."""
    if len(blob) < HEADER.size:
        raise ValueError(f"a device tree has a header of {HEADER.size} bytes, here are {len(blob)}")
    magic, total, at_body, at_names, _, _, compatible, _, _, _ = HEADER.unpack_from(blob)
    if magic != MAGIC:
        raise ValueError(f"not a device tree: it starts with {magic:#010x}, not {MAGIC:#010x}")
    if total > len(blob):
        raise ValueError(f"the device tree is cut off: {len(blob)} of {total} bytes")
    if compatible > VERSION:
        raise ValueError(f"the device tree needs a reader of version {compatible}, this one is {VERSION}")

    def text(at: int) -> str:
        return blob[at : blob.index(b"\0", at)].decode("ascii")

    at = at_body
    stack = [Node("")]
    while True:
        (token,) = struct.unpack_from(">I", blob, at)
        at += 4
        if token == BEGIN_NODE:
            name = text(at)
            at += len(_padded(strings(name)))
            stack.append(stack[-1].add(name))
        elif token == END_NODE:
            stack.pop()
        elif token == PROPERTY:
            size, name_at = struct.unpack_from(">II", blob, at)
            stack[-1].properties[text(at_names + name_at)] = blob[at + 8 : at + 8 + size]
            at += 8 + size + -size % 4
        elif token == END:
            return stack[0].children[0]
        elif token != NOP:
            raise ValueError(f"unknown token {token:#x} at offset {at - 4:#x} of the device tree")
