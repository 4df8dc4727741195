/* CoreMark on the bare machine: mcycle is the clock, the UART at 0x1000_0000 the terminal. */
#include "coremark.h"
#include <stdarg.h>

volatile ee_s32 seed1_volatile = 0;
volatile ee_s32 seed2_volatile = 0;
volatile ee_s32 seed3_volatile = 0x66;
volatile ee_s32 seed4_volatile = ITERATIONS;
volatile ee_s32 seed5_volatile = 0;
ee_u32 default_num_contexts = 1;

static uint64_t started, stopped;

static uint64_t cycles(void)
{
    uint64_t value;
    __asm__ volatile("csrr %0, mcycle" : "=r"(value));
    return value;
}

void start_time(void) { started = cycles(); }
void stop_time(void) { stopped = cycles(); }
CORE_TICKS get_time(void) { return stopped - started; }
secs_ret time_in_secs(CORE_TICKS ticks) { return (secs_ret)(ticks / 1000000); }

void portable_init(core_portable *p, int *argc, char *argv[])
{
    (void)argc;
    (void)argv;
    p->portable_id = 1;
}

void portable_fini(core_portable *p) { p->portable_id = 0; }

static void put(char c) { *(volatile unsigned char *)0x10000000 = (unsigned char)c; }

static void put_number(uint64_t value, unsigned base, int width, char fill)
{
    char digits[24];
    int count = 0;
    do {
        digits[count++] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value);
    while (count < width)
        digits[count++] = fill;
    while (count)
        put(digits[--count]);
}

/* The conversions that CoreMark uses: %d %u %x %s %c, with l, a width, and 0. */
int ee_printf(const char *format, ...)
{
    va_list list;
    va_start(list, format);
    for (; *format; format++) {
        if (*format != '%') {
            put(*format);
            continue;
        }
        int width = 0, is_long = 0;
        char fill = ' ';
        if (*++format == '0')
            fill = '0';
        for (; *format >= '0' && *format <= '9'; format++)
            width = width * 10 + *format - '0';
        for (; *format == 'l'; format++)
            is_long = 1;
        switch (*format) {
        case 'd': {
            int64_t value = is_long ? va_arg(list, long) : va_arg(list, int);
            if (value < 0) {
                put('-');
                value = -value;
            }
            put_number((uint64_t)value, 10, width, fill);
            break;
        }
        case 'u':
        case 'x':
            put_number(is_long ? va_arg(list, unsigned long) : va_arg(list, unsigned), *format == 'x' ? 16 : 10,
                       width, fill);
            break;
        case 's':
            for (const char *text = va_arg(list, const char *); *text; text++)
                put(*text);
            break;
        case 'c':
            put((char)va_arg(list, int));
            break;
        default:
            put(*format);
        }
    }
    va_end(list);
    return 0;
}

void *memset(void *to, int value, size_t count)
{
    for (unsigned char *p = to; count; count--)
        *p++ = (unsigned char)value;
    return to;
}

void *memcpy(void *to, const void *from, size_t count)
{
    unsigned char *p = to;
    for (const unsigned char *q = from; count; count--)
        *p++ = *q++;
    return to;
}
