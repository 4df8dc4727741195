from kernel.lang import Array, Ptr, fn, ptr, u32, u64, usize, zero

ARCH = "riscv64"


@fn(stack=128)
def entry(n: u32) -> u32:
    scratch = zero(Array[u32, 256])
    return look(ptr(scratch), usize(n))


@fn
def look(scratch: Ptr[Array[u32, 256]], n: usize) -> u32:
    scratch[n] = 1
    return scratch[n // 2]
