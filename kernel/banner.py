"""The banner: facts that this boot learned, nothing else."""

from kernel.boot_info import BootInfo, Protocol
from kernel.lang import *
from kernel.printing import put, put_decimal, put_hex


@fn
def banner(info: Ptr[BootInfo]) -> None:
    """Prints it."""
    put("\nSplax\n")
    put("  boot        ")
    put_protocol(info.protocol)
    put(", hart ")
    put_decimal(info.hart)
    put(", image at ")
    put_hex(info.kernel_base)
    put("\n")


@fn
def put_protocol(protocol: Protocol) -> None:
    """Its name."""
    match protocol:
        case Protocol.NONE:
            put("unknown")
        case Protocol.LINUX_IMAGE:
            put("Linux Image")
        case Protocol.UEFI:
            put("UEFI")
        case Protocol.PVH:
            put("PVH")
        case Protocol.MULTIBOOT2:
            put("Multiboot2")
        case Protocol.LIMINE:
            put("Limine")
