"""x86, 64 bits, on PCs: PVH, Multiboot2 and Limine; APICs and ACPI. See `kernel.arch` for what the modules provide."""
