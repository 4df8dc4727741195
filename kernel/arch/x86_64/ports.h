/* Registers on I/O ports: on x86, a register block below 64 KiB is one of ports, where no memory-mapped device can be.
 * So one driver serves a 16550 in memory and one on ports. Included by kernel/lang/runtime.h for this target. */

#ifndef KERNEL_ARCH_X86_64_PORTS_H
#define KERNEL_ARCH_X86_64_PORTS_H

#define KP_IS_PORT(address) ((address) < 0x10000)

static inline u64 kp_port_read(u64 address, u32 width) {
    u16 port = (u16)address;
    u32 value = 0;
    switch (width) {
    case 8: __asm__ volatile("inb %w1, %b0" : "=a"(value) : "Nd"(port), "0"(0) : "memory"); break;
    case 16: __asm__ volatile("inw %w1, %w0" : "=a"(value) : "Nd"(port), "0"(0) : "memory"); break;
    default: __asm__ volatile("inl %w1, %0" : "=a"(value) : "Nd"(port) : "memory"); break;
    }
    return value;
}

static inline void kp_port_write(u64 address, u32 width, u64 value) {
    u16 port = (u16)address;
    switch (width) {
    case 8: __asm__ volatile("outb %b0, %w1" : : "a"((u32)value), "Nd"(port) : "memory"); break;
    case 16: __asm__ volatile("outw %w0, %w1" : : "a"((u32)value), "Nd"(port) : "memory"); break;
    default: __asm__ volatile("outl %0, %w1" : : "a"((u32)value), "Nd"(port) : "memory"); break;
    }
}

#endif
