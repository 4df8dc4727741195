// Bare-metal proof that DMA is coherent: the copy engine reads what the processor has only in its cache, and the
// processor reads what the engine has written over lines that it had cached. Ends at the test finisher: pass, or the
// number of the check that failed.

typedef unsigned char u8;
typedef unsigned long u64;

#define REG64(a) (*(volatile u64 *)(ENGINE + (a)))
#define REG32(a) (*(volatile unsigned *)(ENGINE + (a)))

__attribute__((naked, section(".text.start"))) void _start(void) {
    __asm__ volatile("la sp, stack_top\n call main\n1: j 1b");
}

__attribute__((aligned(64))) static u8 source[4096], destination[4096], expected[4096];
__attribute__((aligned(16))) u8 stack[4096];
__asm__(".globl stack_top\n.set stack_top, stack + 4096");

static void finish(unsigned check) {
    *(volatile unsigned *)FINISHER = check ? check << 16 | 0x3333 : 0x5555;
    for (;;) {}
}

static u64 state = SEED;
static u64 random(void) {
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    return state;
}

static void start(u64 from, u64 to, u64 length) {
    REG64(SOURCE) = from, REG64(DESTINATION) = to, REG64(LENGTH) = length;
    __asm__ volatile("fence" ::: "memory");
    REG32(COMMAND) = 1;
}

static void wait(unsigned check) {
    unsigned status;
    for (unsigned n = 0; !((status = REG32(STATUS)) & 2); n++)
        if (n > 100000) finish(check);
    if (status & 4) finish(check + 1);
    REG32(STATUS) = status;
    __asm__ volatile("fence" ::: "memory");
}

int main(void) {
    for (unsigned round = 0; round < ROUNDS; round++) {
        // both buffers are in the cache and dirty before every copy
        for (unsigned n = 0; n < 4096; n += 8) {
            *(u64 *)(source + n) = random();
            *(u64 *)(expected + n) = *(u64 *)(destination + n) = random();
        }
        unsigned offset = random() % 8, length = random() % 1500;
        unsigned from = random() % 256 * 8 + offset, to = random() % 256 * 8 + offset;
        for (unsigned n = 0; n < length; n++) expected[to + n] = source[from + n];
        start((u64)source + from, (u64)destination + to, length);

        // meanwhile the processor writes beside it, in the lines at both ends too: nothing of that may be lost
        for (unsigned n = 0; n < 40; n++) {
            unsigned where = random() % 4096;
            if (where - to < length) where = n & 1 ? to - 1 : to + length;
            if (where >= 4096) continue;
            u8 value = random();
            *(volatile u8 *)(destination + where) = value;
            expected[where] = value;
        }
        wait(2 * round % 1000 + 10);
        for (unsigned n = 0; n < 4096; n++)
            if (destination[n] != expected[n]) finish(1);
    }

    // a flag in memory, waited for by loads alone
    volatile u64 *flag = (volatile u64 *)destination;
    *flag = 0;
    *(volatile u64 *)source = 0x600d;
    start((u64)source, (u64)destination, 8);
    for (unsigned n = 0; *flag != 0x600d; n++)
        if (n > 100000) finish(2);
    wait(3);

    // a write by DMA takes a reservation away
    u64 failed, old;
    *flag = 1;
    __asm__ volatile("lr.d %0, (%1)" : "=r"(old) : "r"(flag) : "memory");
    start((u64)source, (u64)destination, 8);
    while (!(REG32(STATUS) & 2)) {}
    __asm__ volatile("sc.d %0, %1, (%2)" : "=&r"(failed) : "r"(2UL), "r"(flag) : "memory");
    if (!failed || *flag != 0x600d) finish(5);
    wait(6);

    // the last copy, for who looks at memory from outside: over lines that are dirty in the cache
    for (unsigned n = 0; n < 4096; n += 8) *(u64 *)(source + n) = random(), *(u64 *)(destination + n) = random();
    start((u64)source + 3, (u64)destination + 3, 4000);
    wait(8);
    finish(0);
    return 0;
}
