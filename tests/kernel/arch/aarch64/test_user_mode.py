"""User mode on AArch64, host-native: descriptors bit by bit (DDI 0487 D8.3), and the microkernel's ticks."""

from hypothesis import given, settings
from hypothesis import strategies as st

from kernel.arch.aarch64 import timer, user_pages

PAGE = st.integers(0, (1 << 36) - 1).map(lambda n: n << 12)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(PAGE, st.booleans(), st.booleans(), st.booleans())
def test_a_page_has_the_rights_it_was_given_and_no_others(physical, write, execute, device):
    entry = user_pages.leaf_entry(physical, True, write, execute, device)
    assert entry & 3 == 3 and entry >> 6 & 1 and entry >> 10 & 1 and entry >> 11 & 1, "page, EL0, AF, nG"
    assert bool(entry >> 7 & 1) == (not write) and bool(entry >> 54 & 1) == (not execute)
    assert entry >> 53 & 1, "never executable at EL1"
    assert (entry >> 2 & 7) == (1 if device else 0) and (entry >> 8 & 3) == (0 if device else 3)
    assert user_pages.is_present(entry) and not user_pages.is_table(entry)
    assert user_pages.entry_physical(entry) == physical


@settings(max_examples=50, deadline=None, derandomize=True)
@given(PAGE, st.integers(0, 255))
def test_tables_and_roots(physical, identifier):
    entry = user_pages.table_entry(physical)
    assert entry & 3 == 3 and not entry >> 59, "no rights taken away for what is below"
    assert user_pages.is_table(entry) and user_pages.entry_physical(entry) == physical
    assert user_pages.translation(physical, identifier) == physical | identifier << 48


def test_no_rights_is_no_page():
    assert not user_pages.is_present(user_pages.leaf_entry(0x1000, False, False, False, False))


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.integers(10_000_001, (1 << 40) - 1), st.integers(0, 1 << 50))
def test_counts_and_ticks_agree_to_a_tick(hertz, ticks):
    timer.hz.value = hertz
    timer.ticks_factor.value = timer.fraction(10_000_000, hertz)
    assert timer.ticks_factor.value == (10_000_000 << 64) // hertz
    count = timer.count_at(ticks)
    if count != timer.NEVER:
        assert abs(timer.ticks_at(count) - ticks) <= 1
