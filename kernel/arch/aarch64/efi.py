"""UEFI (specification 2.10): the image is an EFI application too. Its header, and its stub.

The stub asks the firmware for what the kernel needs to know, leaves the boot services, and goes on as every boot does.
It runs wherever the firmware loaded the image, without page alignment that page tables like and through the
firmware's own tables; so it is assembly, and copies the image to a multiple of IMAGE_ALIGN once the memory is its own.
"""

import uuid

from kernel.arch.aarch64 import layout
from kernel.lang import *
from kernel.lang.types import StructType

HEADER_BYTES = 0x1000  # headers: the first page of the image
MAP_BYTES = 32 << 10
ATTEMPTS = 8


@struct
class SystemTable:
    """EFI_SYSTEM_TABLE (4.3), up to what is used; all pointers as numbers."""

    header: Array[u8, 24]
    firmware_vendor: u64
    firmware_revision: u32
    console_in_handle: u64
    con_in: u64
    console_out_handle: u64
    con_out: u64
    standard_error_handle: u64
    std_err: u64
    runtime_services: u64
    boot_services: u64
    number_of_table_entries: u64
    configuration_table: u64


BOOT_SERVICES = (
    "raise_tpl restore_tpl allocate_pages free_pages get_memory_map allocate_pool free_pool create_event set_timer "
    "wait_for_event signal_event close_event check_event install_protocol_interface reinstall_protocol_interface "
    "uninstall_protocol_interface handle_protocol reserved register_protocol_notify locate_handle locate_device_path "
    "install_configuration_table load_image start_image exit unload_image exit_boot_services"
).split()
"""EFI_BOOT_SERVICES (4.4): the functions in order, behind a header of 24 bytes."""


@struct
class LoadedImage:
    """EFI_LOADED_IMAGE_PROTOCOL (9.1), up to the options."""

    revision: u32
    parent_handle: u64
    system_table: u64
    device_handle: u64
    file_path: u64
    reserved: u64
    load_options_size: u32
    load_options: u64


@struct
class MemoryDescriptor:
    """EFI_MEMORY_DESCRIPTOR (7.2.3); the firmware says how far apart they are."""

    memory_type: u32
    physical_start: u64
    virtual_start: u64
    number_of_pages: u64
    attribute: u64


@struct
class Handoff:
    """What the stub leaves for `boot`: physical addresses. map is 0 where no stub ran."""

    map: u64
    map_bytes: u64
    descriptor_bytes: u64
    key: u64
    descriptor_version: u64
    device_tree: u64
    rsdp: u64
    vendor: u64  # UCS-2
    revision: u64
    options: u64  # UCS-2
    options_bytes: u64
    memory: u64
    protocol: u64
    spare: u64


LOADER_CODE, LOADER_DATA, BOOT_SERVICES_CODE, BOOT_SERVICES_DATA, CONVENTIONAL, ACPI_RECLAIM = 1, 2, 3, 4, 7, 9

handoff = variable(Handoff, symbol="efi_handoff", section=".data")


def _at(kind: object, name: str) -> int:
    assert isinstance(kind, StructType)
    return kind.fields[name].offset


def _service(name: str) -> int:
    return 24 + 8 * BOOT_SERVICES.index(name)


def _guid(text: str) -> str:
    raw = uuid.UUID(text).bytes_le
    return ", ".join(f"{int.from_bytes(half, 'little'):#x}" for half in (raw[:8], raw[8:]))


def _keep(register: str, name: str) -> str:
    return f"    str {register}, [x22, #{_at(Handoff, name)}]\n"


# The PE/COFF headers (Microsoft's PE format; UEFI 2.1.1): PE32+, AArch64, two sections.
HEADER = f"""
    .balign 8
pe_header:
    .ascii "PE\\0\\0"
    .short 0xaa64               // machine
    .short 2                    // sections
    .long 0, 0, 0
    .short optional_end - optional
    .short 0x206                // executable, no line numbers, no symbols
optional:
    .short 0x20b                // PE32+
    .byte 2, 20
    .long text_bytes - {HEADER_BYTES:#x}
    .long constant_bytes
    .long zero_bytes
    .long efi_entry_offset
    .long {HEADER_BYTES:#x}     // base of code
    .quad 0                     // image base
    .long 4096                  // section alignment
    .long 512                   // file alignment
    .short 0, 0, 0, 0, 0, 0
    .long 0
    .long image_bytes
    .long {HEADER_BYTES:#x}     // size of headers
    .long 0
    .short 10                   // subsystem: EFI application
    .short 0
    .quad 0, 0, 0, 0
    .long 0
    .long 6                     // data directories, all empty
    .quad 0, 0, 0, 0, 0, 0
optional_end:
    .ascii ".text\\0\\0\\0"
    .long text_bytes - {HEADER_BYTES:#x}, {HEADER_BYTES:#x}
    .long text_bytes - {HEADER_BYTES:#x}, {HEADER_BYTES:#x}
    .long 0, 0
    .short 0, 0
    .long 0x60000020            // code, executable, readable
    .ascii ".data\\0\\0\\0"
    .long rest_bytes, text_bytes
    .long constant_bytes, text_bytes
    .long 0, 0
    .short 0, 0
    .long 0xc0000040            // initialized data, readable, writable
    .balign {HEADER_BYTES}
"""

_FRAME = 160  # x19..x30 in 96 bytes, then what services write into
_OUT = 96

STUB = f"""
efi_entry:                      // (image handle, system table)
    stp x29, x30, [sp, #-{_FRAME}]!
    stp x19, x20, [sp, #16]
    stp x21, x22, [sp, #32]
    stp x23, x24, [sp, #48]
    stp x25, x26, [sp, #64]
    stp x27, x28, [sp, #80]
    mov x19, x0
    mov x20, x1
    ldr x21, [x20, #{_at(SystemTable, "boot_services")}]
    adrp x22, efi_handoff
    add x22, x22, :lo12:efi_handoff
    ldr x0, [x20, #{_at(SystemTable, "firmware_vendor")}]
{_keep("x0", "vendor")}    ldr w0, [x20, #{_at(SystemTable, "firmware_revision")}]
{_keep("x0", "revision")}
    // The device tree and ACPI's root pointer are configuration tables (4.6).
    ldr x0, [x20, #{_at(SystemTable, "number_of_table_entries")}]
    ldr x1, [x20, #{_at(SystemTable, "configuration_table")}]
    adr x2, guids
    ldp x3, x4, [x2]
    ldp x5, x6, [x2, #16]
1:  cbz x0, 4f
    ldp x7, x8, [x1]
    ldr x9, [x1, #16]
    cmp x7, x3
    ccmp x8, x4, #0, eq
    b.ne 2f
{_keep("x9", "device_tree")}2:  cmp x7, x5
    ccmp x8, x6, #0, eq
    b.ne 3f
{_keep("x9", "rsdp")}3:  add x1, x1, #24
    sub x0, x0, #1
    b 1b

    // The options that we were started with.
4:  mov x0, x19
    adr x1, guids + 32
    add x2, x22, #{_at(Handoff, "protocol")}
    ldr x4, [x21, #{_service("handle_protocol")}]
    blr x4
    cbnz x0, 5f
    ldr x1, [x22, #{_at(Handoff, "protocol")}]
    ldr w0, [x1, #{_at(LoadedImage, "load_options_size")}]
{_keep("x0", "options_bytes")}    ldr x0, [x1, #{_at(LoadedImage, "load_options")}]
{_keep("x0", "options")}
    // Memory for the image: as much as it needs, and room to align it.
5:  mov x0, #0                  // any pages
    mov x1, #{LOADER_DATA}
    ldr x2, image_pages
    add x3, x22, #{_at(Handoff, "memory")}
    ldr x4, [x21, #{_service("allocate_pages")}]
    blr x4
    cbnz x0, 9f
    ldr x25, [x22, #{_at(Handoff, "memory")}]
    ldr x0, image_mask
    add x25, x25, x0
    bic x25, x25, x0

    // The memory map, and out; the map's key is only good while nothing else is allocated (7.4.6).
    mov x26, #{ATTEMPTS}
6:  mov x0, #{MAP_BYTES}
{_keep("x0", "map_bytes")}    add x0, x22, #{_at(Handoff, "map_bytes")}
    adrp x1, efi_map
{_keep("x1", "map")}    add x2, x22, #{_at(Handoff, "key")}
    add x3, x22, #{_at(Handoff, "descriptor_bytes")}
    add x4, x22, #{_at(Handoff, "descriptor_version")}
    ldr x5, [x21, #{_service("get_memory_map")}]
    blr x5
    cbnz x0, 9f
    mov x0, x19
    ldr x1, [x22, #{_at(Handoff, "key")}]
    ldr x4, [x21, #{_service("exit_boot_services")}]
    blr x4
    cbz x0, 7f
    sub x26, x26, #1
    cbnz x26, 6b
9:  str xzr, [x22, #{_at(Handoff, "map")}]
    ldp x19, x20, [sp, #16]
    ldp x21, x22, [sp, #32]
    ldp x23, x24, [sp, #48]
    ldp x25, x26, [sp, #64]
    ldp x27, x28, [sp, #80]
    ldp x29, x30, [sp], #{_FRAME}
    ret                         // the status in x0 is the firmware's to report

    // The machine is ours. The image to its place, out of the caches: it is run without the MMU.
7:  msr daifset, #15
    adrp x0, image_start
    mov x1, x25
    ldr x2, image_file
    add x2, x0, x2
8:  ldp x3, x4, [x0], #16
    stp x3, x4, [x1], #16
    cmp x0, x2
    b.lo 8b
    adrp x0, image_start        // this copy, which runs until the MMU is off
    bl clean
    mov x0, x25
    bl clean
    ldr x20, [x22, #{_at(Handoff, "device_tree")}]
    mrs x0, CurrentEL
    cmp x0, #8
    b.eq 2f
    mrs x0, sctlr_el1
    bic x0, x0, #1              // MMU off
    bic x0, x0, #4              // data cache off
    bic x0, x0, #0x1000         // instruction cache off
    msr sctlr_el1, x0
    b 3f
2:  mrs x0, sctlr_el2
    bic x0, x0, #1
    bic x0, x0, #4
    bic x0, x0, #0x1000
    msr sctlr_el2, x0
3:  isb
    ic iallu
    dsb sy
    isb
    ldr x1, early_offset
    add x1, x25, x1
    mov x0, x20
    br x1

clean:                          // (start): as many bytes as the file has, to the point of coherency
    ldr x2, image_file
    add x2, x0, x2
1:  dc cvac, x0
    add x0, x0, #16             // no line is shorter
    cmp x0, x2
    b.lo 1b
    dsb sy
    ret

    .balign 8
guids:
    .quad {_guid("b1b621d5-f19c-41a5-830b-d9152c69aae0")}  // EFI_DTB_TABLE_GUID
    .quad {_guid("8868e871-e4f1-11d3-bc22-0080c73c8881")}  // EFI_ACPI_20_TABLE_GUID
    .quad {_guid("5b1b31a1-9562-11d2-8e3f-00a0c969723b")}  // EFI_LOADED_IMAGE_PROTOCOL_GUID
image_pages:
    .quad image_and_room_pages
image_mask:
    .quad {layout.IMAGE_ALIGN - 1:#x}
image_file:
    .quad file_bytes
early_offset:
    .quad early_offset_value

    .bss
    .balign 4096
efi_map:
    .space {MAP_BYTES}
"""
