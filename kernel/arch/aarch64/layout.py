"""Where things are in the address space: 4 KiB pages, 39 bits (DDI 0487 D8), the upper half (TTBR1) for the kernel."""

from kernel.link import Linker

PAGE_BYTES = 4096
LARGE_PAGE_BYTES = 2 << 20
IMAGE_ALIGN = LARGE_PAGE_BYTES
PHYSICAL_BASE = 0x4020_0000  # where QEMU's virt machine puts it: RAM starts at 1 GiB
DIRECT_MAP = 0xFFFF_FF80_0000_0000
DIRECT_MAP_BYTES = 510 << 30
KERNEL_BASE = 0xFFFF_FFFF_8000_0000
DEVICE_WINDOW = 0xFFFF_FFFF_C000_0000
DEVICE_WINDOW_END = DEVICE_WINDOW + (1 << 30) - LARGE_PAGE_BYTES

# For the EFI header and stub: distances that an AArch64 assembler cannot make.
_TAIL = f"""    constant_bytes = file_bytes - text_bytes;
    zero_bytes = image_bytes - file_bytes;
    rest_bytes = image_bytes - text_bytes;
    efi_entry_offset = efi_entry - image_start;
    early_offset_value = early - image_start;
    image_and_room_pages = (image_bytes + {IMAGE_ALIGN}) / {PAGE_BYTES};
"""

LINKER = Linker(virtual=KERNEL_BASE, physical=PHYSICAL_BASE, page=PAGE_BYTES, tail=_TAIL)
