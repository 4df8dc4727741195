"""Address spaces on the host: what is mapped, what a capability's end takes away, and what is refused."""

import ctypes
import importlib
import random

import pytest

from kernel.abi import Error, Kind, SystemCall
from kernel.core import machine, system_calls, translations
from kernel.core.mappings import Mapping
from kernel.core.objects import Space
from kernel.lang import layout
from tests.kernel.core.machine import STATE, KernelUnderTest, _word

PAGE = 4096


class World:
    """A kernel, a space with the page tables for a region, and the boot thread that acts."""

    def __init__(self) -> None:
        self.kernel = KernelUnderTest(20)
        self.space = self.kernel.make(Kind.SPACE)
        self.tables = [self.kernel.make(Kind.PAGE_TABLE) for _ in range(2)]
        self.at = 0x40_0000
        for table in self.tables:
            assert self.do(SystemCall.MAP_TABLE, table, self.space, self.at) == Error.NONE

    def do(self, *arguments: int) -> Error:
        return self.kernel.do(self.kernel.boot, *arguments)

    def translate(self, space: int, address: int) -> tuple[int, int] | None:
        """(physical page, permission bits), by a walk of the tables that is written here."""
        table = self.kernel.slot(space)["object"] - PAGE
        for level in (2, 1, 0):
            index = address >> (12 + 9 * level) & 511
            entry = int.from_bytes(ctypes.string_at(table + 8 * index, 8), "little")
            if not entry & 1:
                return None
            target = (entry >> 10) << 12
            if entry & 0xE:
                assert level == 0 and entry & 0x10, "not a user page"
                return target, entry & 0xE
            table = target
        raise AssertionError("a leaf is a table")


def test_pages_are_where_they_were_mapped_with_the_rights_asked_for():
    world = World()
    for n, (rights, bits) in enumerate([(1, 0x2), (2, 0x6), (3, 0x6), (4, 0xA), (5, 0xA)]):
        frame = world.kernel.make(Kind.FRAME, 12)
        assert world.do(SystemCall.MAP, frame, world.space, world.at + n * PAGE, rights) == Error.NONE
        assert world.translate(world.space, world.at + n * PAGE) == (world.kernel.slot(frame)["object"], bits)
        assert world.do(SystemCall.MAP, frame, world.space, world.at + 100 * PAGE, rights) == Error.MAPPED
        assert world.do(SystemCall.UNMAP, frame) == Error.NONE
        assert world.translate(world.space, world.at + n * PAGE) is None
        assert world.do(SystemCall.UNMAP, frame) == Error.NOT_MAPPED


@pytest.mark.parametrize("rights", [0, 6, 7, 8, 2**63])
def test_a_page_is_never_writable_and_executable(rights):
    world = World()
    frame = world.kernel.make(Kind.FRAME, 12)
    assert world.do(SystemCall.MAP, frame, world.space, world.at, rights) == Error.OUT_OF_RANGE
    assert world.translate(world.space, world.at) is None


@pytest.mark.parametrize(
    "address", [0, 0xF000, 0x40_0001, 1 << 38, (1 << 38) - PAGE, 0xFFFF_FFC0_8000_0000, 2**64 - PAGE]
)
def test_nothing_is_mapped_at_null_or_in_the_kernels_half(address):
    world = World()
    frame = world.kernel.make(Kind.FRAME, 12)
    assert world.do(SystemCall.MAP, frame, world.space, address, 1) == Error.OUT_OF_RANGE


def test_a_right_that_the_capability_lacks_cannot_be_mapped():
    world = World()
    frame = world.kernel.make(Kind.FRAME, 12)
    assert world.do(SystemCall.DERIVE, frame, 0, 90, 1) == Error.NONE
    weak = world.kernel.boot.word(0)
    assert world.do(SystemCall.MAP, weak, world.space, world.at, 3) == Error.DENIED
    assert world.do(SystemCall.MAP, weak, world.space, world.at, 1) == Error.NONE


@pytest.mark.parametrize("right", [2, 4])
def test_a_page_can_be_read_where_it_is_mapped_so_the_capability_must_allow_that(right):
    """No page of user code can be written and not read, on some CPUs none can be run and not read."""
    world = World()
    frame = world.kernel.make(Kind.FRAME, 12)
    assert world.do(SystemCall.DERIVE, frame, 0, 90, right) == Error.NONE
    assert world.do(SystemCall.MAP, world.kernel.boot.word(0), world.space, world.at, right) == Error.DENIED


def test_a_missing_page_table_is_an_error_and_one_too_many_too():
    world = World()
    frame = world.kernel.make(Kind.FRAME, 12)
    assert world.do(SystemCall.MAP, frame, world.space, 0x8000_0000, 1) == Error.NO_PAGE_TABLE
    extra = world.kernel.make(Kind.PAGE_TABLE)
    assert world.do(SystemCall.MAP_TABLE, extra, world.space, world.at) == Error.MAPPED


def test_what_was_mapped_goes_with_its_capability():
    """Delete, revoke, move and the end of the memory it came from all take the page away."""
    for how in ("delete", "revoke", "move", "untyped"):
        world = World()
        kernel = world.kernel
        small = kernel.make(Kind.UNTYPED, 13)
        assert world.do(SystemCall.RETYPE, small, 0, 80, int(Kind.FRAME), 12) == Error.NONE
        frame = kernel.boot.word(0)
        assert world.do(SystemCall.DERIVE, frame, 0, 81, 31) == Error.NONE
        copy = kernel.boot.word(0)
        assert world.do(SystemCall.MAP, copy, world.space, world.at, 1) == Error.NONE
        flushes = machine.host_flushes.value
        call = {
            "delete": (SystemCall.DELETE, copy),
            "revoke": (SystemCall.REVOKE, frame),
            "move": (SystemCall.MOVE, copy, 0, 82),
            "untyped": (SystemCall.REVOKE, small),
        }[how]
        assert world.do(*call) == Error.NONE
        assert world.translate(world.space, world.at) is None, how
        assert machine.host_flushes.value > flushes, "the TLB still has it"


def test_a_page_table_that_comes_back_brings_no_old_pages():
    world = World()
    frame = world.kernel.make(Kind.FRAME, 12)
    assert world.do(SystemCall.MAP, frame, world.space, world.at, 3) == Error.NONE
    leaf = world.tables[1]
    assert world.do(SystemCall.MOVE, leaf, 0, 91) == Error.NONE
    assert world.translate(world.space, world.at) is None
    assert world.do(SystemCall.MAP_TABLE, world.kernel.boot.word(0), world.space, world.at) == Error.NONE
    assert world.translate(world.space, world.at) is None


def test_the_end_of_a_space_ends_its_mappings_but_not_its_frames():
    world = World()
    frame = world.kernel.make(Kind.FRAME, 12)
    assert world.do(SystemCall.MAP, frame, world.space, world.at, 3) == Error.NONE
    assert world.do(SystemCall.DELETE, world.space) == Error.NONE
    second = world.kernel.make(Kind.SPACE)
    for table in world.tables:
        assert world.do(SystemCall.MOVE, table, 0, world.kernel.next_slot) == Error.NONE
        world.kernel.next_slot += 1
        assert world.do(SystemCall.MAP_TABLE, world.kernel.boot.word(0), second, world.at) == Error.NONE
    other = world.kernel.make(Kind.FRAME, 12)
    assert world.do(SystemCall.MAP, other, second, world.at, 1) == Error.NONE
    # The old frame's capability remembers a space that is gone: its end must not touch the new one.
    assert world.do(SystemCall.DELETE, frame) == Error.NONE
    assert world.translate(second, world.at) == (world.kernel.slot(other)["object"], 2)


def test_many_random_mappings_agree_with_a_dictionary():
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    world = World()
    frames = [world.kernel.make(Kind.FRAME, 12) for _ in range(20)]
    mapped: dict[int, int] = {}
    for _ in range(400):
        frame = rng.choice(frames)
        address = world.at + rng.randrange(30) * PAGE
        if rng.random() < 0.5:
            error = world.do(SystemCall.MAP, frame, world.space, address, 1)
            if frame in mapped or address in mapped.values():
                assert error == Error.MAPPED
            else:
                assert error == Error.NONE
                mapped[frame] = address
        else:
            error = world.do(SystemCall.UNMAP, frame)
            assert error == (Error.NONE if frame in mapped else Error.NOT_MAPPED)
            mapped.pop(frame, None)
    pages = {a: world.kernel.slot(f)["object"] for f, a in mapped.items()}
    for n in range(30):
        found = world.translate(world.space, world.at + n * PAGE)
        assert (found[0] if found else None) == pages.get(world.at + n * PAGE)


@pytest.mark.parametrize("first, second", [(3, 5), (5, 3), (1, 3), (5, 5), (3, 3)])
@pytest.mark.parametrize("how", ["a brother", "a child", "a grandchild", "an orphan", "its parent", "another space"])
def test_memory_is_writable_or_executable_by_all_of_its_capabilities(how, first, second):
    world = World()
    kernel = world.kernel
    kernel.make(Kind.FRAME, 12)  # neighbours in the tree, of other memory
    frame = kernel.make(Kind.FRAME, 12)
    noise = kernel.make(Kind.FRAME, 12)
    assert world.do(SystemCall.MAP, noise, world.space, world.at + 5 * PAGE, 5) == Error.NONE
    handles = [frame]
    for slot in range(90, 93):
        assert world.do(SystemCall.DERIVE, handles[-1], 0, slot, 31) == Error.NONE
        handles.append(kernel.boot.word(0))
    assert world.do(SystemCall.DERIVE, frame, 0, 94, 31) == Error.NONE
    brother = kernel.boot.word(0)
    space, at = world.space, world.at
    one, other = {
        "a brother": (handles[1], brother),
        "a child": (frame, handles[1]),
        "a grandchild": (handles[1], handles[3]),
        "an orphan": (handles[1], brother),
        "its parent": (handles[3], frame),
        "another space": (frame, handles[2]),
    }[how]
    assert world.do(SystemCall.MAP, one, space, at, first) == Error.NONE
    if how == "an orphan":
        assert world.do(SystemCall.DELETE, frame) == Error.NONE
    target = at + PAGE
    if how == "another space":
        space = kernel.make(Kind.SPACE)
        for _ in range(2):
            assert world.do(SystemCall.MAP_TABLE, kernel.make(Kind.PAGE_TABLE), space, at) == Error.NONE
    clash = first & 6 and second & 6 and first & 6 != second & 6
    assert world.do(SystemCall.MAP, other, space, target, second) == (Error.BUSY if clash else Error.NONE)
    if clash:
        assert world.translate(space, target) is None
        assert world.do(SystemCall.UNMAP, one) == Error.NONE  # which is what loaders do
        assert world.do(SystemCall.MAP, other, space, target, second) == Error.NONE


def test_a_mapping_of_a_space_that_has_ended_is_none():
    world = World()
    kernel = world.kernel
    frame = kernel.make(Kind.FRAME, 12)
    assert world.do(SystemCall.DERIVE, frame, 0, 90, 31) == Error.NONE
    copy = kernel.boot.word(0)
    assert world.do(SystemCall.MAP, frame, world.space, world.at, 3) == Error.NONE
    other = kernel.make(Kind.SPACE)
    for _ in range(2):
        assert world.do(SystemCall.MAP_TABLE, kernel.make(Kind.PAGE_TABLE), other, world.at) == Error.NONE
    assert world.do(SystemCall.MAP, copy, other, world.at, 5) == Error.BUSY
    assert world.do(SystemCall.DELETE, world.space) == Error.NONE
    assert world.do(SystemCall.MAP, copy, other, world.at, 5) == Error.NONE


def test_memory_with_very_many_capabilities_is_not_made_writable_or_executable():
    world = World()
    kernel = world.kernel
    frame = kernel.make(Kind.FRAME, 12)
    for slot in range(100, 100 + 256):
        assert world.do(SystemCall.DERIVE, frame, 0, slot, 31) == Error.NONE
    assert world.do(SystemCall.MAP, frame, world.space, world.at, 3) == Error.LIMIT
    assert world.do(SystemCall.MAP, frame, world.space, world.at, 1) == Error.NONE


def test_many_spaces_share_the_identifiers_of_the_tlb_and_are_told_apart():
    kernel = KernelUnderTest(23)
    spaces = [kernel.make(Kind.SPACE) for _ in range(300)]
    values = []
    for space in spaces:
        view = layout.view(Space, kernel.slot(space)["object"], kernel.owner)
        values.append(view.translation)
    assert len(set(values)) == 300
    asids = [value >> 44 & 0xFFFF for value in values]
    assert set(asids) == set(range(1, 256)), "all are used, without the kernel's own"
    users: dict[int, int] = {}
    order = random.Random(5)
    for _ in range(2000):
        n = order.randrange(300)
        flushes = machine.host_flushes.value
        translations.use(values[n])
        assert machine.host_translation.value == values[n]
        left_over = users.get(asids[n], values[n]) != values[n]
        assert machine.host_flushes.value > flushes or not left_over, "the TLB holds another space's pages"
        if users.get(asids[n]) == values[n]:
            assert machine.host_flushes.value == flushes, "nothing of others was there"
        users[asids[n]] = values[n]
    kernel.check()
    for space in spaces[::2]:
        assert kernel.do(kernel.boot, SystemCall.DELETE, space) == Error.NONE
    kernel.set_current(0)
    while system_calls.pending():
        system_calls.leave_kernel()
    kernel.check()


def test_there_are_as_many_spaces_as_there_is_memory_for():
    """Who makes them runs out of its own memory; the next one who asks has a space all the same."""
    kernel = KernelUnderTest(26)
    greedy = kernel.make(Kind.UNTYPED, 25)
    tables = [kernel.make(Kind.TABLE, 12) for _ in range(2)]
    made = 0
    while True:
        table, slot = tables[made >> 12], made & 4095
        error = kernel.do(kernel.boot, SystemCall.RETYPE, greedy, table, slot, int(Kind.SPACE), 0)
        if error != Error.NONE:
            break
        made += 1
    assert error == Error.NO_MEMORY and made == (1 << 25) // (2 * PAGE)
    other = kernel.make(Kind.SPACE)
    assert kernel.slot(other)["kind"] == Kind.SPACE
    kernel.check()
    assert kernel.do(kernel.boot, SystemCall.REVOKE, greedy) == Error.NONE
    kernel.check()
    assert _word(kernel.state_address + STATE["spaces_count"]) == 1


@pytest.mark.parametrize("first", [0, 2**35 - 40])
def test_spaces_that_come_and_go_are_found_by_their_numbers(first):
    """Also when the numbers begin again, where some live on that had them before."""
    kernel = KernelUnderTest(23)
    rng = random.Random(7)
    frames: dict[int, int] = {}  # space: a capability to one page that is mapped in it

    def make() -> None:
        space = kernel.make(Kind.SPACE)
        assert kernel.do(kernel.boot, SystemCall.DERIVE, page, 0, kernel.next_slot, 31) == Error.NONE
        kernel.next_slot += 1
        frames[space] = copy = kernel.boot.word(0)
        while (error := kernel.do(kernel.boot, SystemCall.MAP, copy, space, 0x40_0000, 1)) == Error.NO_PAGE_TABLE:
            table = kernel.make(Kind.PAGE_TABLE)
            assert kernel.do(kernel.boot, SystemCall.MAP_TABLE, table, space, 0x40_0000) == Error.NONE
        assert error == Error.NONE

    page = kernel.make(Kind.FRAME, 12)
    for _ in range(30):
        make()
    ctypes.memmove(kernel.state_address + STATE["spaces_made"], first.to_bytes(8, "little"), 8)
    for _ in range(60):
        space = rng.choice(list(frames))
        copy = frames.pop(space)
        if rng.random() < 0.5:
            assert kernel.do(kernel.boot, SystemCall.UNMAP, copy) == Error.NONE
        assert kernel.do(kernel.boot, SystemCall.DELETE, space) == Error.NONE
        kernel.check()
        make()
        kernel.check()
    numbers = {layout.view(Space, kernel.slot(s)["object"], kernel.owner).number for s in frames}
    assert len(numbers) == 30 and (first == 0 or min(numbers) < 2**34 < max(numbers))


@pytest.mark.parametrize("arch", ["riscv64", "x86_64", "aarch64"])
def test_pages_have_numbers_that_a_mapping_has_room_for(arch):
    user_pages = importlib.import_module(f"kernel.arch.{arch}.user_pages")
    assert user_pages.USER_END // PAGE <= 1 << Mapping.fields["page"].width
