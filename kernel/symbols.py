"""The symbol table that `kernel.image` packs into the image: what the backtrace of a panic reads.

kernel_symbols:        count (u64)
kernel_symbol_table:   count x Symbol, by rising offset
kernel_symbol_names:   the names' bytes
"""

from kernel.lang import *
from kernel.linked import image_start, text_end

MOST_SYMBOLS = 1 << 14
NAME_BYTES = 1 << 19


@struct
class Symbol:
    """A function: bytes from the image's start, where its name is, and how long."""

    offset: u32
    name: u32
    length: u32


symbol_count = external(u64, "kernel_symbols")
symbol_table = external(Array[Symbol, MOST_SYMBOLS], "kernel_symbol_table")
symbol_names = external(Array[u8, NAME_BYTES], "kernel_symbol_names")


@fn
def in_text(address: u64) -> bool:
    """Whether the address is one of the kernel's instructions."""
    return u64(address_of(ptr(image_start))) <= address and address < u64(address_of(ptr(text_end)))


@fn
def find(address: u64) -> Ptr[Symbol] | None:
    """The last symbol at or below the address."""
    if not in_text(address) or symbol_count == 0 or symbol_count > MOST_SYMBOLS:
        return None
    offset = address - u64(address_of(ptr(image_start)))
    low: usize = 0
    high = usize(symbol_count)
    while bounded(high - low > 1, 20):
        middle = (low + high) // 2
        if u64(symbol_table[middle].offset) <= offset:
            low = middle
        else:
            high = middle
    found = ptr(symbol_table[low])
    if u64(found.offset) > offset:
        return None
    return found


@fn
def name_of(symbol: Ptr[Symbol]) -> View[u8]:
    """Its name."""
    start = usize(symbol.name)
    return view(symbol_names)[start : start + usize(symbol.length)]


@fn
def distance(symbol: Ptr[Symbol], address: u64) -> u64:
    """Bytes from the symbol to the address."""
    return address - u64(address_of(ptr(image_start))) - u64(symbol.offset)
