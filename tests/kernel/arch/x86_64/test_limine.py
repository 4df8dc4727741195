"""Limine's answers: what is read from them, and that a loader which leaves some out is refused with its reason."""

import pytest

from kernel.arch.x86_64 import limine
from kernel.arch.x86_64.boot_error import BootError
from kernel.boot_info import BootInfo, RegionKind
from kernel.lang import Array, host, u8, u64

OFFSET = 0xFFFF_8000_0000_0000
REQUESTS = ("bootloader_info", "hhdm", "memmap", "kernel_address", "kernel_file", "module", "rsdp")
ENTRIES = [
    (0x1000, 0x9_E000, 0),
    (0xF_0000, 0x1_0000, 1),
    (0x10_0000, 0x7D0_0000, 0),
    (0x7E0_0000, 0x10_0000, 6),
    (0x7F0_0000, 0x4_0000, 5),
    (0x7F4_0000, 0x1_0000, 2),
    (0x7F5_0000, 0x1_0000, 3),
    (0xFD00_0000, 0x30_0000, 7),
]
keep = []


def kept(thing):
    """Stays alive as long as the loader's memory would."""
    keep.append(thing)
    return thing.address


def text_at(text):
    return kept(host(Array[u8, 256], list(text.encode().ljust(256, b"\0"))))


def answer(name, response):
    getattr(limine, name).value.response = kept(response)


@pytest.fixture(autouse=True)
def loader():
    """A loader that answers everything."""
    keep.clear()
    limine.base_revision.value[2] = 0
    answer("bootloader_info", limine.LoaderResponse(name=text_at("Limine 8.2.0"), version=text_at("8.2.0")))
    answer("hhdm", limine.ValueResponse(value=OFFSET))
    answer("rsdp", limine.ValueResponse(value=OFFSET + 0xF_59E0))
    answer("kernel_address", limine.AddressResponse(physical_base=0x7E0_0000, virtual_base=0xFFFF_FFFF_8020_0000))
    answer("kernel_file", limine.FileResponse(file=kept(limine.File(command_line=text_at("one two=3")))))
    module = kept(limine.File(start=OFFSET + 0x7E8_0000, size_in_bytes=0x1000))
    answer("module", limine.ModuleResponse(module_count=1, modules=kept(host(Array[u64, 1], [module]))))
    memory(ENTRIES)
    yield
    for name in REQUESTS:
        getattr(limine, name).value.response = 0


def memory(entries, count=None):
    rows = [kept(limine.MemoryEntry(base=b, length=n, memory_type=t)) for b, n, t in entries]
    table = kept(host(Array[u64, max(len(rows), 1)], rows or [0]))
    answer("memmap", limine.MemoryResponse(entry_count=len(rows) if count is None else count, entries=table))


def read():
    info = BootInfo()
    error = limine.check()
    if error == BootError.NONE:
        error = limine.read_answers(info)
    return BootError(error), info


def text(value):
    return bytes(list(value.bytes)[: value.length]).decode()


# PROTOCOL.md of Limine 8.2: the members of each answer that the kernel reads, eight bytes each, in order.
ANSWERS = {
    limine.LoaderResponse: "revision name version",
    limine.MemoryResponse: "revision entry_count entries",
    limine.MemoryEntry: "base length memory_type",  # `type` there
    limine.AddressResponse: "revision physical_base virtual_base",
    limine.ValueResponse: "revision value",  # `offset` of the HHDM, `address` of the RSDP
    limine.FileResponse: "revision file",  # `kernel_file` there
    limine.ModuleResponse: "revision module_count modules",
    limine.File: "revision start size_in_bytes path command_line",  # `address size path cmdline` there
}


@pytest.mark.parametrize("kind", ANSWERS, ids=lambda kind: kind.name)
def test_answers_have_the_layout_of_the_specification(kind):
    members = ANSWERS[kind].split()
    assert [(f.name, f.offset, f.type.size) for f in kind.fields.values()] == [
        (name, 8 * n, 8) for n, name in enumerate(members)
    ]


def test_facts_are_those_of_the_answers():
    error, info = read()
    assert error == BootError.NONE and info.rsdp == 0xF_59E0
    assert text(info.loader) == "Limine 8.2.0" and text(info.command_line) == "one two=3"
    assert (info.modules_base, info.modules_end) == (0x7E8_0000, 0x7E8_1000)
    assert limine.direct_offset() == OFFSET and limine.image_base() == 0x7E0_0000
    kinds = {r.base: RegionKind(r.kind) for r in list(info.regions)[: info.region_count]}
    assert kinds == {
        0x1000: RegionKind.FREE,
        0xF_0000: RegionKind.RESERVED,
        0x10_0000: RegionKind.FREE,
        0x7E0_0000: RegionKind.MODULES,
        0x7F0_0000: RegionKind.BOOT_DATA,
        0x7F4_0000: RegionKind.ACPI,
        0x7F5_0000: RegionKind.RESERVED,
        0xFD00_0000: RegionKind.RESERVED,
    }


def test_a_loader_that_does_not_know_the_revision_is_refused():
    limine.base_revision.value[2] = 2  # left as it was
    assert read()[0] == BootError.LIMINE_REVISION


@pytest.mark.parametrize("name", ["hhdm", "memmap", "kernel_address"])
def test_what_the_kernel_cannot_do_without_must_be_answered(name):
    getattr(limine, name).value.response = 0
    assert read()[0] == BootError.LIMINE_NO_ANSWER


@pytest.mark.parametrize("name", ["bootloader_info", "kernel_file", "module", "rsdp"])
def test_what_the_kernel_can_do_without_may_be_missing(name):
    getattr(limine, name).value.response = 0
    error, info = read()
    assert error == BootError.NONE and info.region_count == len(ENTRIES)


def test_an_empty_memory_map_and_one_without_end_are_refused():
    memory([])
    assert read()[0] == BootError.NO_MEMORY_MAP
    memory(ENTRIES, count=1 << 40)
    assert read()[0] == BootError.LIMINE_MEMORY_MAP


def test_what_one_entry_reserves_another_does_not_free():
    memory([(0x10_0000, 0x10_0000, 0), (0x14_0000, 0x1_0000, 1)])
    _, info = read()
    found = [(r.base, r.size, RegionKind(r.kind)) for r in list(info.regions)[: info.region_count]]
    assert found[1] == (0x14_0000, 0x1_0000, RegionKind.RESERVED) and len(found) == 3
