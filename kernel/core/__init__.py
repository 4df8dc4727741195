"""The microkernel. docs/kernel.md says what it promises; each file holds one concept of it."""
