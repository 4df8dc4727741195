"""Where things are in the address space: Sv39, 512 GiB, the upper half for the kernel (Privileged 4.4)."""

from kernel.link import Linker

PAGE_BYTES = 4096
LARGE_PAGE_BYTES = 2 << 20
IMAGE_ALIGN = LARGE_PAGE_BYTES
PHYSICAL_BASE = 0x8020_0000  # where OpenSBI, U-Boot and QEMU put it: the first 2 MiB of DRAM are the firmware's
DIRECT_MAP = 0xFFFF_FFC0_0000_0000
DIRECT_MAP_BYTES = 254 << 30
KERNEL_BASE = 0xFFFF_FFFF_8000_0000
DEVICE_WINDOW = 0xFFFF_FFFF_C000_0000
DEVICE_WINDOW_END = DEVICE_WINDOW + (1 << 30) - LARGE_PAGE_BYTES

LINKER = Linker(virtual=KERNEL_BASE, physical=PHYSICAL_BASE, page=PAGE_BYTES)
