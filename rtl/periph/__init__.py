"""Peripherals: one file or folder a device, each a register-bus device (`rtl.bus.register_bus`) and its wires.

What a register is and does is described in `rtl.registers`, where the device is in `rtl.memory_map`; `rtl.soc` joins
them. Behaviour is that of the devices of QEMU's `virt`, and tests/rtl/periph compares the two access by access.
"""
