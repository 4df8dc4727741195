"""The facts of a boot: pages for the kernel's own tables come from free memory, wherever the loader put the image."""

from kernel.boot_info import BootInfo, RegionKind, add_region, count_memory, has_word, mark_region, take_page

MIB = 1 << 20


def machine(kernel_base):
    info = BootInfo(kernel_base=kernel_base)
    assert add_region(info, 0, MIB // 2, RegionKind.FREE)
    assert add_region(info, MIB, 7 * MIB, RegionKind.FREE)
    assert mark_region(info, kernel_base, kernel_base + MIB, RegionKind.KERNEL)
    return info


def test_a_page_above_the_image_comes_first():
    assert take_page(machine(2 * MIB)) == 3 * MIB


def test_with_the_image_on_top_of_memory_a_page_below_it_is_taken():
    info = machine(7 * MIB)
    assert [take_page(info) for _ in range(3)] == [MIB, MIB + 4096, MIB + 8192]


def test_without_free_memory_there_is_no_page():
    info = BootInfo(kernel_base=MIB)
    assert add_region(info, MIB, MIB, RegionKind.KERNEL)
    assert take_page(info) == 0 and count_memory(info, RegionKind.KERNEL) == MIB


def test_a_word_of_the_command_line_stands_between_blanks():
    for text in ("monitor", "  monitor", "quiet monitor", "monitor two=3"):
        assert has_word(text.encode(), "monitor"), text
    for text in ("", " ", "monitors", "a-monitor", "monitor=1", "moni tor", "amonitor monitorb", "monito"):
        assert not has_word(text.encode(), "monitor"), text
