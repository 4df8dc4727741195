// What the containers need of the C++ library, so that a simulator is linked without it: to build that library costs
// the compiler 100 CPU-seconds on a fresh machine.

#pragma once

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <new>

void* operator new(size_t size, std::align_val_t alignment) {
    size_t unit = size_t(alignment);
    if (void* at = aligned_alloc(unit, (size + unit) / unit * unit)) return at;
    fputs("splax: the simulator has no more memory\n", stderr);
    abort();
}
void* operator new(size_t size) { return operator new(size, std::align_val_t(alignof(max_align_t))); }
void* operator new[](size_t size) { return operator new(size); }
void operator delete(void* at) noexcept { free(at); }
void operator delete[](void* at) noexcept { free(at); }
void operator delete(void* at, size_t) noexcept { free(at); }
void operator delete(void* at, std::align_val_t) noexcept { free(at); }
void operator delete(void* at, size_t, std::align_val_t) noexcept { free(at); }
void operator delete[](void* at, size_t) noexcept { free(at); }
