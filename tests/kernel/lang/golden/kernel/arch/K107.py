from kernel.lang import assembly, by_arch, fn, u64

ARCH = "aarch64"
FREQUENCY = by_arch(riscv64=10, host=1)


@assembly("riscv64", "csrr {result}, time")
def read_time() -> u64:
    return 0


@fn
def f() -> u64:
    return FREQUENCY


@fn
def g() -> u64:
    return read_time()
