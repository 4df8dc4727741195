"""Entries of user page tables, bit by bit (SDM volume 3, figure 4-11)."""

from hypothesis import given, settings
from hypothesis import strategies as st

from kernel.arch.x86_64 import paging, user_pages

PAGE = st.integers(0, (1 << 40) - 1).map(lambda n: n << 12)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(PAGE, st.booleans(), st.booleans(), st.booleans())
def test_a_page_has_the_rights_it_was_given_and_no_others(physical, write, execute, device):
    entry = user_pages.leaf_entry(physical, True, write, execute, device)
    assert entry & 1 and entry & 4, "present, user"
    assert bool(entry & 2) == write and bool(entry >> 63) == (not execute) and bool(entry & 0x18) == device
    assert user_pages.is_present(entry) and not user_pages.is_table(entry)
    assert user_pages.entry_physical(entry) == physical


@settings(max_examples=50, deadline=None, derandomize=True)
@given(PAGE)
def test_a_table_lets_the_last_level_decide(physical):
    entry = user_pages.table_entry(physical)
    assert entry & 7 == 7 and not entry >> 63
    assert user_pages.is_present(entry) and user_pages.is_table(entry) and user_pages.entry_physical(entry) == physical


def test_no_rights_is_no_page():
    assert not user_pages.is_present(user_pages.leaf_entry(0x1000, False, False, False, False))


def test_the_kernels_own_entries_say_what_their_rights_say():
    R = paging.Rights
    bits = {r: paging.leaf(0x20_0000, r, False) for r in R}
    assert all(e & 1 and not e & 4 and e & 0x100 for e in bits.values()), "present, not for users, global"
    assert {r for r, e in bits.items() if e & 2} == {R.READ_WRITE, R.DEVICE}
    assert {r for r, e in bits.items() if not e >> 63} == {R.READ_EXECUTE}
    assert {r for r, e in bits.items() if e & 0x18 == 0x18} == {R.DEVICE}
    assert paging.leaf(0x20_0000, R.READ_WRITE, True) & 0x80
