"""Where things are in the address space: four levels, 256 TiB, the upper half for the kernel (SDM volume 3, 4.5).

The image is linked at its load address plus BASE, so that the 32-bit entry code finds its symbols by one subtraction.
The code model "kernel" and the Limine protocol both ask for the last 2 GiB.
"""

from kernel.link import Linker

PAGE_BYTES = 4096
LARGE_PAGE_BYTES = 2 << 20
HUGE_PAGE_BYTES = 1 << 30
IMAGE_ALIGN = PAGE_BYTES  # Limine chooses; PVH and Multiboot2 put the image at PHYSICAL_BASE
PHYSICAL_BASE = 0x20_0000
BASE = 0xFFFF_FFFF_8000_0000
KERNEL_BASE = BASE + PHYSICAL_BASE
DIRECT_MAP = 0xFFFF_8000_0000_0000
DIRECT_MAP_BYTES = 64 << 40
DEVICE_WINDOW = 0xFFFF_FFFF_C000_0000
DEVICE_WINDOW_END = DEVICE_WINDOW + LARGE_PAGE_BYTES
EARLY_MAPPED = 4 << 30  # what the entry code maps at DIRECT_MAP, and what Limine maps at least

LINKER = Linker(virtual=KERNEL_BASE, physical=PHYSICAL_BASE, page=PAGE_BYTES, entry="limine_entry")
