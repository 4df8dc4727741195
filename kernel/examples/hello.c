/* Greets in C, by the only capability that a program gets: the console session in slot 1. */

#include "splax.h"

static const char greeting[] = "hello from C\r\n";

uint64_t splax_main(uint64_t argument) {
    struct splax_message message = {.number = SPLAX_SYSTEM_CALL_CALL, .handle = SPLAX_SESSION};
    message.timeout = SPLAX_NEVER_TIMES_OUT;
    message.words[0] = SPLAX_CONSOLE_CALL_WRITE;
    message.words[1] = sizeof greeting - 1;
    for (uint64_t i = 0; i < sizeof greeting - 1; i++)
        message.words[2 + i / 8] |= (uint64_t)greeting[i] << i % 8 * 8;
    return splax_invoke(&message) == SPLAX_ERROR_NONE ? argument : 1;
}
