"""The facts of a device tree, for every architecture that is started with one: memory, what is taken of it, the CPUs,
the command line, the initrd, the console. What is missing or impossible is a reason to stop, said on the console.
"""

from kernel import devicetree
from kernel.boot_info import (
    MAX_REGIONS,
    BootInfo,
    RegionKind,
    Text,
    add_region,
    count_memory,
    mark_region,
    set_text,
)
from kernel.devicetree import MAX_NODES, NO_NODE, Range, Tree, TreeError
from kernel.lang import *

tree = variable(Tree)


@fn
def read(blob: View[u8], info: Ptr[BootInfo]) -> TreeError:
    """Parses the tree into `tree` and fills in what all architectures take from it."""
    error = devicetree.parse(blob, ptr(tree))
    if error != TreeError.NONE:
        return error
    if not read_memory(blob, info) or not read_reserved(blob, info) or not read_chosen(blob, info):
        return TreeError.TOO_MANY_REGIONS
    if info.total_memory == 0:
        return TreeError.NO_MEMORY
    if not mark_region(info, info.device_tree, info.device_tree + u64(len(blob)), RegionKind.BOOT_DATA):
        return TreeError.TOO_MANY_REGIONS
    copy_string(devicetree.property(blob, ptr(tree), 0, "model"), ptr(info.machine))
    read_cpus(blob, info)
    return TreeError.NONE


@fn
def copy_string(value: View[u8], into: Ptr[Text]) -> None:
    """A string property, without its NUL; of a list, the first."""
    length: usize = 0
    while bounded(length < len(value) and value[length] != 0, devicetree.MAX_BYTES):
        length += 1
    set_text(into, value[0:length])


@fn
def read_memory(blob: View[u8], info: Ptr[BootInfo]) -> bool:
    """/memory nodes (Devicetree Specification 3.4)."""
    here = ptr(tree)
    for i in bounded(range(tree.count), MAX_NODES):
        node = trunc(i, u16)
        value = devicetree.property(blob, here, node, "device_type")
        if devicetree.text_is(value, 0, len(value), "memory") and devicetree.is_enabled(blob, here, node):
            found = Range(base=0, size=0)
            row: usize = 0
            while bounded(devicetree.read_reg(blob, here, node, row, ptr(found)), MAX_REGIONS):
                if row + 1 == MAX_REGIONS or not add_region(info, found.base, found.size, RegionKind.FREE):
                    return False
                row += 1
    info.total_memory = count_memory(info, RegionKind.FREE)
    return True


@fn
def read_reserved(blob: View[u8], info: Ptr[BootInfo]) -> bool:
    """The memory reservation block (5.3) and /reserved-memory (3.5)."""
    at = usize(devicetree.be32(blob, 16))
    for _ in range(MAX_REGIONS):
        if at + 16 > len(blob):
            break
        base = u64(devicetree.be32(blob, at)) << 32 | u64(devicetree.be32(blob, at + 4))
        size = u64(devicetree.be32(blob, at + 8)) << 32 | u64(devicetree.be32(blob, at + 12))
        if size == 0:
            break
        if size <= ~base:
            if not mark_region(info, base, base + size, RegionKind.RESERVED):
                return False
        at += 16
    here = ptr(tree)
    parent = devicetree.find_child(blob, here, 0, 1, "reserved-memory")
    if parent != NO_NODE:
        for i in bounded(range(tree.count), MAX_NODES):
            if tree.nodes[i].parent == parent:
                node = trunc(i, u16)
                found = Range(base=0, size=0)
                row: usize = 0
                while bounded(devicetree.read_reg(blob, here, node, row, ptr(found)), MAX_REGIONS):
                    if row + 1 == MAX_REGIONS:
                        return False
                    if found.size <= ~found.base:
                        if not mark_region(info, found.base, found.base + found.size, RegionKind.RESERVED):
                            return False
                    row += 1
    return True


@fn
def read_chosen(blob: View[u8], info: Ptr[BootInfo]) -> bool:
    """/chosen (3.6): the command line and, as Linux's loaders give it, the initrd."""
    here = ptr(tree)
    chosen = devicetree.find_child(blob, here, 0, 1, "chosen")
    if chosen == NO_NODE:
        return True
    copy_string(devicetree.property(blob, here, chosen, "bootargs"), ptr(info.command_line))
    start = devicetree.property(blob, here, chosen, "linux,initrd-start")
    end = devicetree.property(blob, here, chosen, "linux,initrd-end")
    if len(start) > 8 or len(end) > 8:
        return True
    info.modules_base = devicetree.cells(start, 0, len(start) // 4)
    info.modules_end = devicetree.cells(end, 0, len(end) // 4)
    if info.modules_end <= info.modules_base:
        info.modules_base = 0
        info.modules_end = 0
        return True
    return mark_region(info, info.modules_base, info.modules_end, RegionKind.MODULES)


@fn
def read_cpus(blob: View[u8], info: Ptr[BootInfo]) -> None:
    """/cpus (3.7, 3.8): how many, and the boot CPU's own words."""
    here = ptr(tree)
    cpus = devicetree.find_child(blob, here, 0, 1, "cpus")
    if cpus == NO_NODE:
        return
    hz = u64(devicetree.property_word(blob, here, cpus, "timebase-frequency", 0))
    if hz != 0:
        info.timer_hz = hz
    node = devicetree.find_child(blob, here, cpus, cpus, "cpu")
    while bounded(node != NO_NODE, MAX_NODES):
        if devicetree.is_enabled(blob, here, node):
            info.cpu_count += 1
        reg = devicetree.property(blob, here, node, "reg")
        if len(reg) <= 8 and devicetree.cells(reg, 0, len(reg) // 4) == info.hart:
            copy_string(devicetree.property(blob, here, node, "compatible"), ptr(info.cpu_model))
            copy_string(devicetree.property(blob, here, node, "riscv,isa"), ptr(info.cpu_features))
            if info.timer_hz == 0:
                info.timer_hz = u64(devicetree.property_word(blob, here, node, "timebase-frequency", 0))
        node = devicetree.find_child(blob, here, cpus, node + 1, "cpu")


@fn
def console_node(blob: View[u8]) -> u16:
    """The node that /chosen/stdout-path names: a path (an alias has none of "/"), up to a ":"; NO_NODE without one."""
    here = ptr(tree)
    chosen = devicetree.find_child(blob, here, 0, 1, "chosen")
    if chosen == NO_NODE:
        return NO_NODE
    path = devicetree.property(blob, here, chosen, "stdout-path")
    if len(path) > 0 and path[0] != 47:  # an alias: its value is the path
        aliases = devicetree.find_child(blob, here, 0, 1, "aliases")
        return NO_NODE if aliases == NO_NODE else by_path(blob, by_alias(blob, aliases, path))
    return by_path(blob, path)


@fn
def by_alias(blob: View[u8], aliases: u16, name: View[u8]) -> View[u8]:
    """The value of the property of /aliases with this name (up to a ":")."""
    here = ptr(tree)
    at = usize(tree.nodes[usize(aliases)].properties)
    while bounded(devicetree.be32(blob, at) == devicetree.PROP, devicetree.MAX_TOKENS):
        length = usize(devicetree.be32(blob, at + 4))
        text = usize(here.strings) + usize(devicetree.be32(blob, at + 8))
        if same_name(blob, text, usize(here.strings_end), name):
            return blob[at + 12 : at + 12 + length]
        at = (at + 12 + length + 3) // 4 * 4
    return blob[0:0]


@fn
def same_name(blob: View[u8], at: usize, end: usize, name: View[u8]) -> bool:
    """Whether the text at `at` is `name` up to its NUL or ":"."""
    for i in range(devicetree.MAX_NAME):
        done = i >= len(name) or name[i] == 0 or name[i] == 58
        if at + i >= end:
            return False
        if done:
            return blob[at + i] == 0
        if blob[at + i] != name[i]:
            return False
    return False


@fn
def by_path(blob: View[u8], path: View[u8]) -> u16:
    """The node at a full path such as /soc/serial@10000000."""
    here = ptr(tree)
    node: u16 = 0
    at: usize = 0
    for _ in range(devicetree.MAX_DEPTH + 1):
        if at >= len(path) or path[at] == 0 or path[at] == 58:
            return node if at > 0 else NO_NODE
        if path[at] != 47:
            return NO_NODE
        start = at + 1
        at = start
        while bounded(at < len(path) and path[at] != 0 and path[at] != 47 and path[at] != 58, devicetree.MAX_BYTES):
            at += 1
        child: u16 = NO_NODE
        for i in bounded(range(tree.count), MAX_NODES):
            if here.nodes[i].parent == node and child == NO_NODE:
                if same_bytes(blob, usize(here.nodes[i].name), usize(here.nodes[i].name_length), path[start:at]):
                    child = trunc(i, u16)
        if child == NO_NODE:
            return NO_NODE
        node = child
    return NO_NODE


@fn
def same_bytes(blob: View[u8], at: usize, length: usize, wanted: View[u8]) -> bool:
    """Whether `length` bytes are `wanted`."""
    if length != len(wanted):
        return False
    for i in bounded(range(length), devicetree.MAX_NAME):
        if blob[at + i] != wanted[i]:
            return False
    return True
