"""What firmware in M-mode needs of the architecture: CSRs, instructions, trap entry, raw addresses.

The firmware (firmware/) is Kernel Python like the rest, and the rule that assembly and raw addresses live under
kernel/arch/ (K305, K306) holds for it too: one place to look, one rule to check. Nothing here imports the kernel.

| module | what |
|---|---|
| `csr` | the CSRs of M-mode, one object each: `csr.mstatus.read()` |
| `instructions` | fences, atomics, accesses with the privilege of the interrupted code, leaving for a lower mode |
| `memory` | addresses as pointers: devices, device tree, memory that S-mode names |
| `entry` | reset, trap entry and return, generated from `TrapFrame` |
"""
