"""The machine-mode firmware of our SoC and of QEMU's `virt`: an SBI 2.0 implementation in Kernel Python.

It runs first (fw_dynamic protocol: a0 hart id, a1 device tree, a2 what to start next), keeps its memory to itself (PMP,
and a reservation in the device tree), hands interrupts and exceptions of the system to S-mode, starts the next stage,
and from then on answers its calls.

| module | what |
|---|---|
| `sbi` | numbers of the specification, and which function answers which call |
| `boot` | from reset to the next stage |
| `trap` | every trap into M-mode ends here |
| `harts` | state of each hart: HSM extension, events from one hart to another |
| `fences` | RFENCE extension |
| `emulate` | misaligned loads and stores, counters: instructions that a core does not have |
| `device_tree` | what the machine has; reserves the firmware's memory |
| `console` | UART, DBCN extension, legacy console |
| `image`, `compile` | builds it: `python -m firmware --out FILE`, or `--bios splax` |

Assembly and raw addresses are in kernel/arch/riscv64/machine_mode/, where the language allows them.
"""
