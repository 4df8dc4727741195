// What the containers need of the C++ library, so that a simulator is linked without it: to build that library costs
// the compiler 100 CPU-seconds on a fresh machine.

#pragma once

#include <cstdio>
#include <cstdlib>
#include <new>

void* operator new(size_t size) {
    if (void* at = malloc(size ? size : 1)) return at;
    fputs("splax: the simulator has no more memory\n", stderr);
    abort();
}
void* operator new[](size_t size) { return operator new(size); }
void operator delete(void* at) noexcept { free(at); }
void operator delete[](void* at) noexcept { free(at); }
void operator delete(void* at, size_t) noexcept { free(at); }
void operator delete[](void* at, size_t) noexcept { free(at); }
