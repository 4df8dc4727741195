/* The four functions that a compiler may call by itself, for freestanding programs. Weak, so that several objects (or a
 * faster version) can be linked together. no_builtin keeps clang from turning a loop into a call of itself. */

#ifndef KERNEL_RUNTIME_MEMORY_H
#define KERNEL_RUNTIME_MEMORY_H

#include "runtime.h"

#define KP_MEMORY __attribute__((weak, no_builtin, visibility("hidden")))

void *memcpy(void *restrict target, const void *restrict source, size_t size);
void *memmove(void *target, const void *source, size_t size);
void *memset(void *target, int value, size_t size);
int memcmp(const void *left, const void *right, size_t size);

typedef u64 __attribute__((may_alias)) kp_word;

KP_MEMORY void *memcpy(void *restrict target, const void *restrict source, size_t size) {
    u8 *to = target;
    const u8 *from = source;
    if ((((u64)to | (u64)from) & 7) == 0) {
        for (; size >= 8; size -= 8, to += 8, from += 8) *(kp_word *)to = *(const kp_word *)from;
    }
    for (; size > 0; size--) *to++ = *from++;
    return target;
}

KP_MEMORY void *memmove(void *target, const void *source, size_t size) {
    u8 *to = target;
    const u8 *from = source;
    if ((u64)to - (u64)from >= size) return memcpy(target, source, size);
    for (; size > 0; size--) to[size - 1] = from[size - 1];
    return target;
}

KP_MEMORY void *memset(void *target, int value, size_t size) {
    u8 *to = target;
    u64 word = (u8)value * 0x0101010101010101ull;
    for (; size > 0 && ((u64)to & 7); size--) *to++ = (u8)value;
    for (; size >= 8; size -= 8, to += 8) *(kp_word *)to = word;
    for (; size > 0; size--) *to++ = (u8)value;
    return target;
}

KP_MEMORY int memcmp(const void *left, const void *right, size_t size) {
    const u8 *a = left, *b = right;
    for (; size > 0; size--, a++, b++) {
        if (*a != *b) return *a < *b ? -1 : 1;
    }
    return 0;
}

#endif
