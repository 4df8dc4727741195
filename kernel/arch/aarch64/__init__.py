"""AArch64: EL1, 4 KiB pages, 39-bit addresses. See `kernel.arch` for what the modules provide."""
