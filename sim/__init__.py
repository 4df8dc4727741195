"""Simulation: the SoC as a native library built by Verilator, the machine around it, and QEMU as its twin."""
