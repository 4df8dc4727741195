/* What generated C stands on: integer types, checked arithmetic, panics. Included by every generated file.
 *
 * A check that fails calls kernel_panic() with its site (where and what) and up to two values. Freestanding programs
 * define kernel_panic (in Kernel Python, with symbol="kernel_panic"); host-native builds turn it into an exception. */

#ifndef KERNEL_RUNTIME_H
#define KERNEL_RUNTIME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef uint64_t usize;
typedef int8_t i8;
typedef int16_t i16;
typedef int32_t i32;
typedef int64_t i64;
typedef uint8_t w8;
typedef uint16_t w16;
typedef uint32_t w32;
typedef uint64_t w64;

_Static_assert(sizeof(void *) == 8, "all targets are 64-bit");

typedef struct {
    const u8 *data;
    u64 length;
} Str;

/* kernel.lang.panics.PanicSite: where a check stands, what it says, how many values follow and how to print them. */
typedef struct PanicSite {
    Str file;
    Str function;
    Str text;
    u32 line;
    u8 values;
    bool is_signed;
} PanicSite;

/* Kernel Python has no const, so the handler takes a plain pointer; the sites themselves are read-only. */
#define KP_SITE(n) ((PanicSite *)&kp_site_##n)

_Noreturn void kernel_panic(PanicSite *site, u64 left, u64 right);

/* A check is part of the expression that it stands in: inlined first of all, which takes a tenth off the compiler's time,
 * and without lines of its own in debuggers. */
#define KP_HELPER static inline __attribute__((always_inline, nodebug))

#define KP_UNLIKELY(x) __builtin_expect((x), 0)

/* A round of a `while` is made: without this, clang computes what N rounds without effects do, and a program that spins
 * until it is interrupted panics at once. */
#define KP_ROUND __asm__ volatile("")

#define KP_CHECKED(T, name, builtin)                                                                                   \
    KP_HELPER T name##_##T(T a, T b, PanicSite *site) {                                                                \
        T result;                                                                                                      \
        if (KP_UNLIKELY(builtin(a, b, &result))) kernel_panic(site, (u64)a, (u64)b);                                   \
        return result;                                                                                                 \
    }

/* << drops the bits that leave on top; computed in u64 so that nothing is promoted to a signed int. */
#define KP_SHIFTS(T, bits)                                                                                             \
    KP_HELPER T shl_##T(T a, u64 count, PanicSite *site) {                                                             \
        if (KP_UNLIKELY(count >= (bits))) kernel_panic(site, (u64)a, count);                                           \
        return (T)((u64)a << count);                                                                                   \
    }                                                                                                                  \
    KP_HELPER T shr_##T(T a, u64 count, PanicSite *site) {                                                             \
        if (KP_UNLIKELY(count >= (bits))) kernel_panic(site, (u64)a, count);                                           \
        return (T)(a >> count);                                                                                        \
    }

#define KP_EXTREMES(T)                                                                                                 \
    KP_HELPER T min_##T(T a, T b) { return a < b ? a : b; }                                                            \
    KP_HELPER T max_##T(T a, T b) { return a > b ? a : b; }

#define KP_UNSIGNED_DIVISION(T)                                                                                        \
    KP_HELPER T div_##T(T a, T b, PanicSite *site) {                                                                   \
        if (KP_UNLIKELY(b == 0)) kernel_panic(site, (u64)a, 0);                                                        \
        return (T)(a / b);                                                                                             \
    }                                                                                                                  \
    KP_HELPER T mod_##T(T a, T b, PanicSite *site) {                                                                   \
        if (KP_UNLIKELY(b == 0)) kernel_panic(site, (u64)a, 0);                                                        \
        return (T)(a % b);                                                                                             \
    }

/* Signed // and % round down, as Python's do. The least value // -1 overflows; its % is 0. */
#define KP_SIGNED_DIVISION(T, least)                                                                                   \
    KP_HELPER T div_##T(T a, T b, PanicSite *site) {                                                                   \
        if (KP_UNLIKELY(b == 0 || (b == -1 && a == (least)))) kernel_panic(site, (u64)a, (u64)b);                      \
        return (T)(a / b - ((a % b != 0) && ((a < 0) != (b < 0))));                                                    \
    }                                                                                                                  \
    KP_HELPER T mod_##T(T a, T b, PanicSite *site) {                                                                   \
        if (KP_UNLIKELY(b == 0)) kernel_panic(site, (u64)a, 0);                                                        \
        if (b == -1) return 0;                                                                                         \
        T rest = (T)(a % b);                                                                                           \
        return (T)(rest != 0 && ((rest < 0) != (b < 0)) ? rest + b : rest);                                            \
    }

#define KP_COMMON(T, bits) KP_SHIFTS(T, bits) KP_EXTREMES(T)
#define KP_ARITHMETIC(T)                                                                                               \
    KP_CHECKED(T, add, __builtin_add_overflow)                                                                         \
    KP_CHECKED(T, sub, __builtin_sub_overflow)                                                                         \
    KP_CHECKED(T, mul, __builtin_mul_overflow)

#define KP_UNSIGNED(T, bits) KP_ARITHMETIC(T) KP_UNSIGNED_DIVISION(T) KP_COMMON(T, bits)
#define KP_SIGNED(T, bits, least) KP_ARITHMETIC(T) KP_SIGNED_DIVISION(T, least) KP_COMMON(T, bits)
#define KP_WRAPPING(T, bits) KP_UNSIGNED_DIVISION(T) KP_COMMON(T, bits)

KP_UNSIGNED(u8, 8)
KP_UNSIGNED(u16, 16)
KP_UNSIGNED(u32, 32)
KP_UNSIGNED(u64, 64)
KP_UNSIGNED(usize, 64)
KP_SIGNED(i8, 8, INT8_MIN)
KP_SIGNED(i16, 16, INT16_MIN)
KP_SIGNED(i32, 32, INT32_MIN)
KP_SIGNED(i64, 64, INT64_MIN)
KP_WRAPPING(w8, 8)
KP_WRAPPING(w16, 16)
KP_WRAPPING(w32, 32)
KP_WRAPPING(w64, 64)

KP_HELPER u64 kp_index(u64 index, u64 length, PanicSite *site) {
    if (KP_UNLIKELY(index >= length)) kernel_panic(site, index, length);
    return index;
}

/* A value of a bit field, refused when it has bits above the field. */
KP_HELPER u64 kp_fit(u64 value, u64 maximum, PanicSite *site) {
    if (KP_UNLIKELY(value > maximum)) kernel_panic(site, value, maximum);
    return value;
}

/* Rounds of `for i in range(start, stop, step)` with `distance` from start to stop in the direction of step (0 when
 * there is nothing to do), and the bound that the source promises. */
KP_HELPER u64 kp_rounds(u64 distance, u64 step, u64 bound, PanicSite *site) {
    u64 rounds = distance / step + (distance % step != 0);
    if (KP_UNLIKELY(rounds > bound)) kernel_panic(site, rounds, bound);
    return rounds;
}

KP_HELPER const void *kp_some(const void *pointer, PanicSite *site) {
    if (KP_UNLIKELY(pointer == NULL)) kernel_panic(site, 0, 0);
    return pointer;
}

/* Leading and trailing zeros; the width for zero. */
KP_HELPER u64 kp_clz(u64 value, u64 bits) {
    return value == 0 ? bits : (u64)__builtin_clzll(value) - (64 - bits);
}

KP_HELPER u64 kp_ctz(u64 value, u64 bits) {
    return value == 0 ? bits : (u64)__builtin_ctzll(value);
}

#ifdef KERNEL_NATIVE
/* Host-native builds: accesses go to a Python object. */
u64 kp_mmio_read(u64 address, u32 width);
void kp_mmio_write(u64 address, u32 width, u64 value);
#else
#ifdef __x86_64__
#include "../arch/x86_64/ports.h"
#else
#define KP_IS_PORT(address) 0
#define kp_port_read(address, width) 0
#define kp_port_write(address, width, value) ((void)0)
#endif

static inline u64 kp_mmio_read(u64 address, u32 width) {
    if (KP_IS_PORT(address)) return kp_port_read(address, width);
    switch (width) {
    case 8: return *(const volatile u8 *)address;
    case 16: return *(const volatile u16 *)address;
    case 32: return *(const volatile u32 *)address;
    default: return *(const volatile u64 *)address;
    }
}

static inline void kp_mmio_write(u64 address, u32 width, u64 value) {
    if (KP_IS_PORT(address)) {
        kp_port_write(address, width, value);
        return;
    }
    switch (width) {
    case 8: *(volatile u8 *)address = (u8)value; break;
    case 16: *(volatile u16 *)address = (u16)value; break;
    case 32: *(volatile u32 *)address = (u32)value; break;
    default: *(volatile u64 *)address = value; break;
    }
}
#endif

#endif
