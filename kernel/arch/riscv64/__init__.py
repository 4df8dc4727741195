"""RISC-V, 64 bits: S-mode on an SBI, Sv39. See `kernel.arch` for what the modules provide."""
