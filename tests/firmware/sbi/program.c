/* Calls every function of the SBI in S-mode, with good and with bad arguments, and says what is not as the specification
 * (RISC-V SBI 2.0) has it. Started as a kernel: a0 hart id, a1 device tree. Prints a line for every check that fails
 * and "checks N failed M" at the end, then powers off by SRST. Bare C, so that it shares nothing with the firmware. */

#include <stdint.h>

typedef uint64_t u64;
typedef struct { long error, value; } Answer;

enum { BASE = 0x10, TIME = 0x54494D45, IPI = 0x735049, RFENCE = 0x52464E43, HSM = 0x48534D, SRST = 0x53525354,
       DBCN = 0x4442434E, PMU = 0x504D55 };
enum { OK = 0, FAILED = -1, NOT_SUPPORTED = -2, INVALID_PARAM = -3, INVALID_ADDRESS = -5, ALREADY_AVAILABLE = -6 };
enum { STARTED = 0, STOPPED = 1, SUSPENDED = 4 };
enum { SSIP = 1 << 1, STIP = 1 << 5 };
#define ANY 0x7777777777777777L
#define FIRMWARE 0x80000000UL
#define UART 0x10000000UL
#define CLINT 0x2000000UL
#define MOST_HARTS 8

#define csr_read(name) ({ u64 v_; __asm__ volatile("csrr %0, " #name : "=r"(v_) : : "memory"); v_; })
#define csr_write(name, v) __asm__ volatile("csrw " #name ", %0" : : "r"((u64)(v)) : "memory")
#define csr_set(name, v) __asm__ volatile("csrs " #name ", %0" : : "r"((u64)(v)) : "memory")
#define csr_clear(name, v) __asm__ volatile("csrc " #name ", %0" : : "r"((u64)(v)) : "memory")

static u64 boot_hart, ram_end, hart_count;
static u64 checks, failures;

/* --- output: the UART, not the firmware --- */

static void put(char c) {
    while (!(*(volatile uint8_t *)(UART + 5) & 0x20)) {}
    *(volatile uint8_t *)UART = (uint8_t)c;
}
static void puts_(const char *text) { while (*text) put(*text++); }
static void put_number(long value) {
    char digits[24];
    int n = 0;
    u64 rest = value < 0 ? -(u64)value : (u64)value;
    if (value < 0) put('-');
    if (value > 0xFFFF || value < -0xFFFF) {
        puts_("0x");
        do { digits[n++] = "0123456789abcdef"[rest & 15]; rest >>= 4; } while (rest);
    } else {
        do { digits[n++] = (char)('0' + rest % 10); rest /= 10; } while (rest);
    }
    while (n) put(digits[--n]);
}

static void expect(const char *what, long seen, long wanted) {
    checks++;
    if (seen == wanted) return;
    failures++;
    puts_("FAILED "); puts_(what); puts_(": "); put_number(seen); puts_(", wanted "); put_number(wanted); put('\n');
}
static void check(const char *what, Answer answer, long error, long value) {
    expect(what, answer.error, error);
    if (value != ANY) expect(what, answer.value, value);
}

/* --- calls and traps --- */

static Answer call(long extension, long function, u64 first, u64 second, u64 third, u64 fourth, u64 fifth) {
    register u64 a0 __asm__("a0") = first, a1 __asm__("a1") = second, a2 __asm__("a2") = third;
    register u64 a3 __asm__("a3") = fourth, a4 __asm__("a4") = fifth;
    register u64 a6 __asm__("a6") = (u64)function, a7 __asm__("a7") = (u64)extension;
    __asm__ volatile("ecall" : "+r"(a0), "+r"(a1) : "r"(a2), "r"(a3), "r"(a4), "r"(a6), "r"(a7) : "memory");
    return (Answer){(long)a0, (long)a1};
}
#define sbi(e, f, ...) CALL_(e, f, ##__VA_ARGS__, 0, 0, 0, 0, 0)
#define CALL_(e, f, a, b, c, d, g, ...) call(e, f, (u64)(a), (u64)(b), (u64)(c), (u64)(d), (u64)(g))

/* Executes something that may trap: gives the cause plus one, 0 without a trap. See start.S. */
extern u64 guarded(u64 kind, u64 address, u64 value);
extern u64 guarded_value, guarded_cause, guarded_epc, guarded_tval;
enum { LOAD8, STORE8, JUMP, ILLEGAL, LOAD16, LOAD32, LOAD64, LOAD16S, STORE32, CLOAD32, CLOAD64, RDTIME, RDCYCLE, RDINSTRET,
       USER_RDTIME, MISALIGNED_AMO, STORE64, STORE16, LOAD32U, USER_ECALL };
extern long registers_kept(void);
extern char start_of_hart[], user_rdtime[], resume_here[];

static u64 now(void) { return csr_read(time); }

/* --- one hart --- */

static void base(void) {
    check("spec version", sbi(BASE, 0), OK, 2 << 24);
    check("implementation", sbi(BASE, 1), OK, 0x53706C78);
    check("implementation version", sbi(BASE, 2), OK, ANY);
    static const long there[] = {0, 1, 2, 3, 8, BASE, TIME, IPI, RFENCE, HSM, SRST, DBCN};
    for (unsigned i = 0; i < sizeof there / sizeof *there; i++) check("probe", sbi(BASE, 3, there[i]), OK, 1);
    static const long absent[] = {4, 5, 6, 7, 9, 0x11, PMU, 0x53555350, -1, 0x7FFFFFFF, 1L << 32 | BASE};
    for (unsigned i = 0; i < sizeof absent / sizeof *absent; i++) check("probe of nothing", sbi(BASE, 3, absent[i]), OK, 0);
    check("mvendorid", sbi(BASE, 4), OK, ANY);
    check("marchid", sbi(BASE, 5), OK, ANY);
    check("mimpid", sbi(BASE, 6), OK, ANY);
    check("base function 7", sbi(BASE, 7), NOT_SUPPORTED, ANY);
    check("base function -1", sbi(BASE, -1), NOT_SUPPORTED, ANY);
    check("extension PMU", sbi(PMU, 0), NOT_SUPPORTED, ANY);
    check("extension 0x12345678", sbi(0x12345678, 0), NOT_SUPPORTED, ANY);
    check("extension -1", sbi(-1, 0), NOT_SUPPORTED, ANY);
    expect("registers kept by a call", registers_kept(), 0);
}

static void timer(void) {
    u64 due = now() + 2000;
    check("set_timer", sbi(TIME, 0, due), OK, ANY);
    csr_set(sie, STIP);
    while (!(csr_read(sip) & STIP)) {}
    expect("timer not early", now() >= due, 1);
    check("set_timer to never", sbi(TIME, 0, -1), OK, ANY);
    expect("timer not pending", csr_read(sip) & STIP, 0);
    check("set_timer in the past", sbi(TIME, 0, 0), OK, ANY);
    for (u64 end = now() + 1000; now() < end && !(csr_read(sip) & STIP);) {}
    expect("timer of the past pending", csr_read(sip) & STIP, STIP);
    check("set_timer again", sbi(TIME, 0, -1), OK, ANY);
    expect("timer not pending again", csr_read(sip) & STIP, 0);
    check("time function 1", sbi(TIME, 1, 0), NOT_SUPPORTED, ANY);
    csr_clear(sie, STIP);
}

static void software_interrupts(void) {
    check("ipi to myself", sbi(IPI, 0, 1UL << boot_hart, 0), OK, ANY);
    expect("ssip", csr_read(sip) & SSIP, SSIP);
    csr_clear(sip, SSIP);
    expect("ssip cleared", csr_read(sip) & SSIP, 0);
    check("ipi by base", sbi(IPI, 0, 1, boot_hart), OK, ANY);
    expect("ssip", csr_read(sip) & SSIP, SSIP);
    csr_clear(sip, SSIP);
    check("ipi to all", sbi(IPI, 0, 0, -1), OK, ANY);
    expect("ssip", csr_read(sip) & SSIP, SSIP);
    csr_clear(sip, SSIP);
    check("ipi to nobody", sbi(IPI, 0, 0, 0), OK, ANY);
    expect("no ssip", csr_read(sip) & SSIP, 0);
    check("ipi to hart 40", sbi(IPI, 0, 1UL << 40, 0), INVALID_PARAM, ANY);
    check("ipi to hart 63", sbi(IPI, 0, 1UL << boot_hart | 1UL << 63, 0), INVALID_PARAM, ANY);
    check("ipi to hart 64", sbi(IPI, 0, 1, 64), INVALID_PARAM, ANY);
    check("ipi to hart 2^63", sbi(IPI, 0, 1, 1UL << 63), INVALID_PARAM, ANY);
    check("ipi to harts off the mask", sbi(IPI, 0, 1UL << 63, 1), INVALID_PARAM, ANY);
    expect("no ssip of refused calls", csr_read(sip) & SSIP, 0);
    check("ipi function 1", sbi(IPI, 1, 1, 0), NOT_SUPPORTED, ANY);
}

static void fences(void) {
    u64 me = 1UL << boot_hart;
    check("fence.i", sbi(RFENCE, 0, me, 0), OK, ANY);
    check("fence.i of all", sbi(RFENCE, 0, 0, -1), OK, ANY);
    check("sfence of a page", sbi(RFENCE, 1, me, 0, 0x1000, 0x1000), OK, ANY);
    check("sfence of everything", sbi(RFENCE, 1, me, 0, 0, 0), OK, ANY);
    check("sfence of size -1", sbi(RFENCE, 1, me, 0, 0x1234, -1), OK, ANY);
    check("sfence of much", sbi(RFENCE, 1, me, 0, 0x1234, 1UL << 40), OK, ANY);
    check("sfence of an odd range", sbi(RFENCE, 1, me, 0, 0x1FFF, 2), OK, ANY);
    check("sfence at the top", sbi(RFENCE, 1, me, 0, -0x1000UL, 0xFFF), OK, ANY);
    check("sfence of a space", sbi(RFENCE, 2, me, 0, 0x1000, 0x2000, 3), OK, ANY);
    check("sfence of all of a space", sbi(RFENCE, 2, me, 0, 0, 0, 3), OK, ANY);
    check("sfence that wraps", sbi(RFENCE, 1, me, 0, -0x1000UL, 0x2000), INVALID_ADDRESS, ANY);
    check("sfence of hart 40", sbi(RFENCE, 1, 1UL << 40, 0, 0, 0), INVALID_PARAM, ANY);
    check("fence.i of hart 64", sbi(RFENCE, 0, 1, 64), INVALID_PARAM, ANY);
    for (long function = 3; function < 9; function++)
        check("fences of guests", sbi(RFENCE, function, me, 0, 0, 0, 0), NOT_SUPPORTED, ANY);
}

static void hart_state(void) {
    check("my status", sbi(HSM, 2, boot_hart), OK, STARTED);
    check("status of hart 40", sbi(HSM, 2, 40), INVALID_PARAM, ANY);
    check("status of hart 64", sbi(HSM, 2, 64), INVALID_PARAM, ANY);
    check("status of hart -1", sbi(HSM, 2, -1), INVALID_PARAM, ANY);
    check("start myself", sbi(HSM, 0, boot_hart, start_of_hart, 0), ALREADY_AVAILABLE, ANY);
    check("start hart 40", sbi(HSM, 0, 40, start_of_hart, 0), INVALID_PARAM, ANY);
    check("start hart -1", sbi(HSM, 0, -1, start_of_hart, 0), INVALID_PARAM, ANY);
    check("suspend of type 1", sbi(HSM, 3, 1, 0, 0), INVALID_PARAM, ANY);
    check("suspend of a platform's type", sbi(HSM, 3, 0x10000000, 0, 0), INVALID_PARAM, ANY);
    check("suspend of type 0x80000001", sbi(HSM, 3, 0x80000001, start_of_hart, 0), INVALID_PARAM, ANY);
    check("suspend into the firmware", sbi(HSM, 3, 0x80000000, FIRMWARE, 0), INVALID_ADDRESS, ANY);
    check("suspend into the UART", sbi(HSM, 3, 0x80000000, UART, 0), INVALID_ADDRESS, ANY);
    check("suspend into nothing", sbi(HSM, 3, 0x80000000, ram_end, 0), INVALID_ADDRESS, ANY);
    check("hsm function 4", sbi(HSM, 4), NOT_SUPPORTED, ANY);
    csr_set(sie, STIP);
    u64 due = now() + 3000;
    check("timer for a suspend", sbi(TIME, 0, due), OK, ANY);
    check("suspend", sbi(HSM, 3, 1UL << 32, 0, 0), OK, ANY); /* 32 bits count */
    expect("suspended until the timer", now() >= due, 1);
    expect("the timer's interrupt waits", csr_read(sip) & STIP, STIP);
    check("timer off", sbi(TIME, 0, -1), OK, ANY);
    check("timer for a second suspend", sbi(TIME, 0, now() + 3000), OK, ANY);
    extern u64 suspend_and_resume(u64 opaque);
    expect("non-retentive suspend resumes with its argument", (long)suspend_and_resume(0x1234567), 0x1234567);
    expect("resumed without translation", csr_read(satp), 0);
    check("timer off again", sbi(TIME, 0, -1), OK, ANY);
    csr_clear(sie, STIP);
}

static void console(void) {
    static char text[] = "by the debug console\n";
    u64 size = sizeof text - 1;
    check("console write", sbi(DBCN, 0, size, text, 0), OK, (long)size);
    check("console write of nothing", sbi(DBCN, 0, 0, text, 0), OK, 0);
    check("console write byte", sbi(DBCN, 2, 0x141), OK, 0);
    check("console write byte", sbi(DBCN, 2, '\n'), OK, 0);
    check("console write from the firmware", sbi(DBCN, 0, 4, FIRMWARE, 0), INVALID_PARAM, ANY);
    check("console write into the firmware", sbi(DBCN, 0, 2, FIRMWARE - 1, 0), INVALID_PARAM, ANY);
    check("console write from the UART", sbi(DBCN, 0, 1, UART, 0), INVALID_PARAM, ANY);
    check("console write from 0", sbi(DBCN, 0, 1, 0, 0), INVALID_PARAM, ANY);
    check("console write behind RAM", sbi(DBCN, 0, 1, ram_end, 0), INVALID_PARAM, ANY);
    check("console write over RAM's end", sbi(DBCN, 0, 2, ram_end - 1, 0), INVALID_PARAM, ANY);
    check("console write that wraps", sbi(DBCN, 0, -1, text, 0), INVALID_PARAM, ANY);
    check("console write that wraps to 0", sbi(DBCN, 0, -(u64)text, text, 0), INVALID_PARAM, ANY);
    check("console write above 2^64", sbi(DBCN, 0, 1, text, 1), INVALID_PARAM, ANY);
    char buffer[4] = {1, 2, 3, 4};
    check("console read of nothing", sbi(DBCN, 1, 4, buffer, 0), OK, 0);
    expect("nothing was read", buffer[0], 1);
    check("console read into the firmware", sbi(DBCN, 1, 4, FIRMWARE, 0), INVALID_PARAM, ANY);
    check("console read above 2^64", sbi(DBCN, 1, 4, buffer, -1), INVALID_PARAM, ANY);
    check("console function 3", sbi(DBCN, 3), NOT_SUPPORTED, ANY);
    check("legacy putchar", sbi(1, 0, 'B', 0x5555), OK, 0x5555); /* a1 is kept */
    check("legacy putchar", sbi(1, 0, '\n', 0x5555), OK, 0x5555);
    check("legacy getchar", sbi(2, 0), -1, ANY);
    check("legacy send_ipi", sbi(4, 0), NOT_SUPPORTED, ANY);
    check("legacy clear_ipi", sbi(3, 0), OK, ANY);
}

static void resets(void) {
    check("reset of type 3", sbi(SRST, 0, 3, 0), INVALID_PARAM, ANY);
    check("reset of a vendor's type", sbi(SRST, 0, 0xF0000000, 0), INVALID_PARAM, ANY);
    check("reset for reason 2", sbi(SRST, 0, 0, 2), INVALID_PARAM, ANY);
    check("reset for a vendor's reason", sbi(SRST, 0, 0, 0xF0000000), INVALID_PARAM, ANY);
    check("srst function 1", sbi(SRST, 1, 0, 0), NOT_SUPPORTED, ANY);
}

static void faults(void) {
    expect("load from the firmware", guarded(LOAD8, FIRMWARE, 0), 1 + 5);
    expect("its address", (long)guarded_tval, (long)FIRMWARE);
    expect("store into the firmware", guarded(STORE8, FIRMWARE + 0x4000, 1), 1 + 7);
    expect("jump into the firmware", guarded(JUMP, FIRMWARE, 0), 1 + 1);
    expect("load from the CLINT", guarded(LOAD8, CLINT, 0), 1 + 5);
    expect("illegal instruction", guarded(ILLEGAL, 0, 0), 1 + 2);
    extern char illegal_here[];
    expect("its place", (long)guarded_epc, (long)illegal_here);
    expect("misaligned atomic", guarded(MISALIGNED_AMO, (u64)&checks + 1, 0) != 0, 1);
    u64 data[3] = {0x8877665544332211, 0xFFEEDDCCBBAA9988, 0};
    u64 at = (u64)data;
    /* Aligned accesses are the judge of misaligned ones, in RAM and where a core may refuse them (the boot ROM). */
    for (int where = 0; where < 2; where++) {
        for (u64 i = 1; i < 8; i++) {
            u64 from = (where ? 0x1000 : at) + i, wanted = 0;
            for (int n = 0; n < 8; n++) wanted |= (u64)((volatile uint8_t *)from)[n] << 8 * n;
            expect("misaligned ld", guarded(LOAD64, from, 0), 0);
            expect("its value", (long)guarded_value, (long)wanted);
            expect("misaligned lw", guarded(LOAD32, from, 0), 0);
            expect("its value", (long)guarded_value, (int32_t)wanted);
            expect("misaligned lwu", guarded(LOAD32U, from, 0), 0);
            expect("its value", (long)guarded_value, (uint32_t)wanted);
            expect("misaligned lh", guarded(LOAD16S, from, 0), 0);
            expect("its value", (long)guarded_value, (int16_t)wanted);
            expect("misaligned lhu", guarded(LOAD16, from, 0), 0);
            expect("its value", (long)guarded_value, (uint16_t)wanted);
            expect("misaligned c.lw", guarded(CLOAD32, from, 0), 0);
            expect("its value", (long)guarded_value, (int32_t)wanted);
            expect("misaligned c.ld", guarded(CLOAD64, from, 0), 0);
            expect("its value", (long)guarded_value, (long)wanted);
        }
    }
    for (u64 i = 1; i < 8; i++) {
        data[0] = data[1] = 0;
        expect("misaligned sd", guarded(STORE64, at + i, 0x1122334455667788), 0);
        expect("its low part", (long)data[0], (long)(0x1122334455667788UL << 8 * i));
        expect("its high part", (long)data[1], (long)(0x1122334455667788UL >> (64 - 8 * i)));
    }
    expect("misaligned load into nothing", guarded(LOAD64, FIRMWARE + 1, 0), 1 + 5);
}

static void counters(void) {
    expect("rdtime", guarded(RDTIME, 0, 0), 0);
    u64 first = guarded_value;
    expect("rdtime", guarded(RDTIME, 0, 0), 0);
    expect("time goes on", guarded_value >= first && guarded_value - first < 10000000, 1);
    expect("rdcycle", guarded(RDCYCLE, 0, 0), 0);
    first = guarded_value;
    expect("rdcycle", guarded(RDCYCLE, 0, 0), 0);
    expect("cycles go on", guarded_value > first, 1);
    expect("rdinstret", guarded(RDINSTRET, 0, 0), 0);
    first = guarded_value;
    expect("rdinstret", guarded(RDINSTRET, 0, 0), 0);
    expect("instructions go on", guarded_value > first, 1);
    csr_write(scounteren, 0);
    expect("rdtime of U-mode that S-mode forbids", guarded(USER_RDTIME, 0, 0), 1 + 2);
    expect("its place", (long)guarded_epc, (long)user_rdtime);
    csr_write(scounteren, 7);
    expect("rdtime of U-mode", guarded(USER_RDTIME, 0, 0), 1 + 8); /* gets on to its ecall */
}

/* --- several harts --- */

enum { IDLE, WAIT, FENCE, STARTER, SUSPEND, ENOUGH, ENTERED };
#define FENCES 30
#define PATIENCE 300000000UL /* ticks: 30 s of a machine that shares its processor */
static volatile u64 orders[MOST_HARTS], reports[MOST_HARTS], opaques[MOST_HARTS];

/* Every other hart: does what its order says, and reports that it did. An IPI tells that there is an order. */
void hart_main(u64 hart, u64 opaque) {
    opaques[hart] = opaque;
    csr_write(sie, SSIP);
    for (;;) {
        csr_clear(sip, SSIP);
        u64 order = orders[hart];
        if (order == IDLE) {
            __asm__ volatile("wfi");
            continue;
        }
        u64 result = order;
        if (order == ENOUGH) {
            orders[hart] = IDLE;
            sbi(HSM, 1);
            expect("hart_stop returned", 1, 0);
        } else if (order == WAIT) {
            reports[hart] = ENTERED;
            while (!(csr_read(sip) & SSIP)) __asm__ volatile("wfi");
        } else if (order == FENCE) {
            for (int n = 0; n < FENCES; n++)
                if (sbi(RFENCE, n % 3, 0, -1, 0x1000, 0x3000, 1).error) result = -1UL;
        } else if (order == STARTER) {
            result = (u64)sbi(HSM, 0, 3, start_of_hart, 0x300 + hart).error + 100;
        } else if (order == SUSPEND) {
            reports[hart] = ENTERED;
            long error = sbi(HSM, 3, 0, 0, 0).error;
            result = error ? 98 : (csr_read(sip) & SSIP) ? SUSPEND : 99;
        }
        orders[hart] = IDLE;
        reports[hart] = result;
    }
}

static void order(u64 hart, u64 what) {
    reports[hart] = 0;
    orders[hart] = what;
    check("ipi for an order", sbi(IPI, 0, 1, hart), OK, ANY);
}
static void wait_status(u64 hart, long status) {
    for (u64 end = now() + PATIENCE; now() < end && sbi(HSM, 2, hart).value != status;) {}
    check("status", sbi(HSM, 2, hart), OK, status);
}
static void wait_report(u64 hart, u64 report) {
    for (u64 end = now() + PATIENCE; now() < end && reports[hart] != report;) {}
    expect("report", (long)reports[hart], (long)report);
}

static void many(void) {
    u64 all = (1UL << hart_count) - 1, others = all & ~(1UL << boot_hart);
    for (u64 h = 0; h < hart_count; h++) {
        if (h == boot_hart) continue;
        check("status before the start", sbi(HSM, 2, h), OK, STOPPED);
        check("start in the firmware", sbi(HSM, 0, h, FIRMWARE + 0x100, 0), INVALID_ADDRESS, ANY);
        check("start in the UART", sbi(HSM, 0, h, UART, 0), INVALID_ADDRESS, ANY);
        check("start at an odd address", sbi(HSM, 0, h, start_of_hart + 1, 0), INVALID_ADDRESS, ANY);
        check("fences of stopped harts", sbi(RFENCE, 1, all, 0, 0, 0), OK, ANY);
        check("start", sbi(HSM, 0, h, start_of_hart, 0x1000 + h), OK, ANY);
        check("start twice", sbi(HSM, 0, h, start_of_hart, 0), ALREADY_AVAILABLE, ANY);
        order(h, WAIT);
        wait_report(h, ENTERED);
        wait_status(h, STARTED);
        expect("opaque", (long)opaques[h], (long)(0x1000 + h));
    }
    check("ipi to the others", sbi(IPI, 0, others, 0), OK, ANY);
    for (u64 h = 0; h < hart_count; h++) if (h != boot_hart) wait_report(h, WAIT);
    expect("no ipi to myself", csr_read(sip) & SSIP, 0);
    for (u64 h = 0; h < hart_count; h++) if (h != boot_hart) order(h, FENCE); /* everybody fences everybody */
    for (int n = 0; n < FENCES; n++) check("fences of all", sbi(RFENCE, n % 3, all, 0, 0, 0, 0), OK, ANY);
    for (u64 h = 0; h < hart_count; h++) if (h != boot_hart) wait_report(h, FENCE);
    for (u64 h = 0; h < hart_count; h++) {
        if (h == boot_hart) continue;
        order(h, SUSPEND);
        wait_report(h, ENTERED);
        wait_status(h, SUSPENDED);
        check("fences of a suspended hart", sbi(RFENCE, 1, 1UL << h, 0, 0, 0), OK, ANY);
        check("still suspended", sbi(HSM, 2, h), OK, SUSPENDED);
        check("wake", sbi(IPI, 0, 1, h), OK, ANY);
        wait_report(h, SUSPEND);
        wait_status(h, STARTED);
    }
    if (hart_count >= 4 && boot_hart == 0) { /* of two that start a third, one does */
        for (int round = 0; round < 6; round++) {
            order(3, ENOUGH);
            wait_status(3, STOPPED);
            order(1, STARTER);
            order(2, STARTER);
            for (u64 end = now() + PATIENCE; now() < end && !(reports[1] && reports[2]);) {}
            u64 first = reports[1], second = reports[2];
            expect("one starts", (first == 100) + (second == 100), 1);
            expect("the other does not", (first == 94) + (second == 94), 1);
            wait_status(3, STARTED);
            order(3, FENCE);
            wait_report(3, FENCE);
            expect("the winner's argument", (long)opaques[3], first == 100 ? 0x301 : 0x302);
        }
    }
    for (u64 h = 0; h < hart_count; h++) if (h != boot_hart) { order(h, ENOUGH); wait_status(h, STOPPED); }
    check("ipi to stopped harts", sbi(IPI, 0, others, 0), OK, ANY);
    for (u64 h = 0; h < hart_count; h++) {
        if (h == boot_hart) continue;
        check("stays stopped", sbi(HSM, 2, h), OK, STOPPED);
        check("start again", sbi(HSM, 0, h, start_of_hart, 0x2000 + h), OK, ANY);
        order(h, WAIT);
        wait_report(h, ENTERED);
        expect("opaque of the second start", (long)opaques[h], (long)(0x2000 + h));
    }
}

static u64 be64(const uint8_t *p) { u64 v = 0; for (int i = 0; i < 8; i++) v = v << 8 | p[i]; return v; }

/* RAM's end: the reg of the one memory node, found by its name. */
static u64 end_of_ram(const uint8_t *tree) {
    u64 size = (u64)tree[4] << 24 | (u64)tree[5] << 16 | (u64)tree[6] << 8 | tree[7];
    for (u64 i = 0; i + 64 < size; i++)
        if (!__builtin_memcmp(tree + i, "memory@80000000", 16))
            for (u64 n = i; n < i + 64; n += 4)
                if (be64(tree + n) == 0x80000000) return 0x80000000 + be64(tree + n + 8);
    return 0;
}

void main_(u64 hart, const uint8_t *tree) {
    boot_hart = hart;
    ram_end = end_of_ram(tree);
    expect("RAM is in the tree", ram_end > 0x80000000, 1);
    while (hart_count < MOST_HARTS && sbi(HSM, 2, hart_count).error == 0) hart_count++;
    base();
    timer();
    software_interrupts();
    fences();
    hart_state();
    console();
    resets();
    faults();
    counters();
    if (hart_count > 1) many();
    puts_("harts "); put_number((long)hart_count);
    puts_(" checks "); put_number((long)checks); puts_(" failed "); put_number((long)failures); put('\n');
    sbi(SRST, 0, 0, failures != 0);
    puts_("FAILED shutdown returned\n");
    for (;;) {}
}

int memcmp(const void *a, const void *b, u64 n) {
    const uint8_t *x = a, *y = b;
    for (; n; n--, x++, y++) if (*x != *y) return *x - *y;
    return 0;
}
void *memset(void *p, int c, u64 n) { volatile uint8_t *q = p; while (n--) *q++ = (uint8_t)c; return p; }
void *memcpy(void *p, const void *s, u64 n) { volatile uint8_t *q = p; const uint8_t *r = s; while (n--) *q++ = *r++; return p; }
