"""What must hold of the kernel's page tables on every architecture, whoever read them."""

from dataclasses import dataclass

from kernel import image

PAGE = 4096


@dataclass(frozen=True)
class Mapping:
    """A range of the address space, and what it allows beside reading."""

    virtual: int
    physical: int
    size: int
    write: bool
    execute: bool
    user: bool


def check(arch: str, mappings: list[Mapping], kernel_physical: int) -> None:
    """W^X, the image's parts as they are linked, guard pages, nothing for user mode, no writable second door."""
    symbols = image.Elf(image.build(arch).elf.read_bytes()).symbols
    pages = {m.virtual + at: m for m in mappings if m.size < 1 << 30 for at in range(0, m.size, PAGE)}

    def part(start: str, end: str) -> list[Mapping]:
        return [pages[address] for address in range(symbols[start], symbols[end], PAGE)]

    assert not [m for m in mappings if m.write and m.execute], "writable and executable"
    assert not [m for m in mappings if m.user], "open to user mode"
    assert all(m.execute and not m.write for m in part("image_start", "text_end"))
    assert not any(m.execute or m.write for m in part("text_end", "rodata_end"))
    for start, end in (("bss_start", "bss_end"), ("stack_bottom", "stack_top"), ("panic_stack_bottom", "image_end")):
        assert all(m.write for m in part(start, end)), start
    text = range(symbols["image_start"], symbols["text_end"])
    assert all(m.virtual in text for m in mappings if m.execute), "only the image's text is executable"
    for guarded in ("stack_bottom", "panic_stack_bottom"):
        assert symbols[guarded] - PAGE not in pages, f"the guard page below {guarded}"
    constant = range(kernel_physical, kernel_physical + symbols["rodata_end"] - symbols["image_start"])
    doors = [m for m in mappings if m.physical < constant.stop and m.physical + m.size > constant.start]
    assert len({m.virtual < symbols["image_start"] for m in doors}) == 2, "linked addresses and the direct map"
    assert not any(m.write for m in doors), "the constant part is read-only in the direct map too"
