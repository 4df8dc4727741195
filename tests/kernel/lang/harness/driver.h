/* Runs cases of generated programs on a target and writes one line for each: "ok VALUE" or "panic LINE LEFT RIGHT", or
 * one hash over the results for all 8-bit operands: 256, or 65536 pairs. Included after a program's C. */

u64 harness_call(u64 number, u64 a, u64 b, u64 c);
u64 harness_save(u64 *context) __attribute__((returns_twice));
_Noreturn void harness_restore(u64 *context);
u64 harness_main(void);
void harness_case(void (*run)(u64 *), u64 *slots);
void harness_all(void (*run)(u64 *), u64 seconds);

#if defined(__x86_64__)
#define HARNESS_WRITE 1
#else
#define HARNESS_WRITE 64
#endif

static u64 harness_context[16];
static u64 harness_panic[3];
static u8 harness_buffer[4096];
static u64 harness_fill;

_Noreturn void kernel_panic(PanicSite *site, u64 left, u64 right) {
    harness_panic[0] = site->line;
    harness_panic[1] = site->values > 0 ? left : 0;
    harness_panic[2] = site->values > 1 ? right : 0;
    harness_restore(harness_context);
}

static void harness_flush(void) {
    harness_call(HARNESS_WRITE, 1, (u64)harness_buffer, harness_fill);
    harness_fill = 0;
}

static void harness_text(const char *text) {
    while (*text) harness_buffer[harness_fill++] = (u8)*text++;
    if (harness_fill > sizeof harness_buffer - 256) harness_flush();
}

static void harness_number(u64 value) {
    char text[18];
    u32 at = sizeof text - 1;
    text[at] = 0;
    do text[--at] = "0123456789abcdef"[value & 15]; while (value >>= 4);
    text[--at] = ' ';
    harness_text(&text[at]);
}

static bool harness_run(void (*run)(u64 *), u64 *slots) {
    if (harness_save(harness_context)) return false;
    run(slots);
    return true;
}

void harness_case(void (*run)(u64 *), u64 *slots) {
    if (harness_run(run, slots)) {
        harness_text("ok");
        harness_number(slots[0]);
    } else {
        harness_text("panic");
        for (u32 i = 0; i < 3; i++) harness_number(harness_panic[i]);
    }
    harness_text("\n");
}

void harness_all(void (*run)(u64 *), u64 seconds) {
    u64 hash = 0;
    for (u64 a = 0; a < 256; a++) {
        for (u64 b = 0; b < seconds; b++) {
            u64 slots[3] = {0, a, b};
            bool finished = harness_run(run, slots);
            hash = (hash ^ finished) * 0x100000001b3ull;
            if (finished) hash = (hash ^ slots[0]) * 0x100000001b3ull;
        }
    }
    harness_text("all");
    harness_number(hash);
    harness_text("\n");
}
