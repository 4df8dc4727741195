"""The C header of the system-call interface, generated from kernel/abi: numbers, errors, rights, and `splax_invoke`."""

from enum import EnumMeta

from kernel import abi
from kernel.arch.aarch64 import user as aarch64
from kernel.arch.riscv64 import user as riscv64
from kernel.arch.x86_64 import user as x86_64
from kernel.lang.declare import Assembly
from kernel.services.protocol import ConsoleCall
from kernel.services.run import SESSION
from kernel.user.message import Message

ENUMS: tuple[EnumMeta, ...] = (
    abi.SystemCall,
    abi.Error,
    abi.Kind,
    abi.SliceClass,
    abi.ThreadState,
    abi.AuditEvent,
    ConsoleCall,
)


def _upper(name: str) -> str:
    """SystemCall -> SYSTEM_CALL."""
    return "".join(f"_{c}" if c.isupper() and i else c for i, c in enumerate(name)).upper()


def _inline(intrinsic: Assembly) -> str:
    """The body of `splax_invoke` on one architecture."""
    template = intrinsic.template.format(message="%[message]").replace("\n", "\\n\\t")
    clobbers = ", ".join(f'"{register}"' for register in intrinsic.clobbers)
    constraint = intrinsic.constraints.get("message", "r")
    return f'    __asm__ volatile("{template}" : : [message] "{constraint}"(message) : {clobbers});'


def header() -> str:
    """The whole text of splax.h."""
    lines = [
        "/* The Splax system-call interface. Generated from kernel/abi.py by kernel/user/header.py. */",
        "#ifndef SPLAX_H",
        "#define SPLAX_H",
        "#include <stdint.h>",
        "",
        f"#define SPLAX_WORDS {abi.WORDS}",
        f"#define SPLAX_NEVER_TIMES_OUT {abi.NEVER_TIMES_OUT:#x}u",
        f"#define SPLAX_TICKS_PER_SECOND {abi.TICKS_PER_SECOND}u",
        f"#define SPLAX_SESSION {SESSION:#x}u",
        *(f"#define SPLAX_RIGHT_{n} {v}u" for n, v in vars(abi.Rights).items() if n.isupper()),
    ]
    for enum in ENUMS:
        rows = ", ".join(f"SPLAX_{_upper(enum.__name__)}_{m.name} = {m.value}" for m in enum)
        lines.append(f"enum splax_{_upper(enum.__name__).lower()} {{ {rows} }};")
    fields = []
    for name, field in Message.fields.items():
        fields.append(f"    uint64_t {name}{f'[{field.type.size // 8}]' if field.type.size > 8 else ''};")
    lines += ["", "/* In: what a call takes. Out: what it gives; `handle` is an enum splax_error then. */"]
    lines += ["struct splax_message {", *fields, "};", ""]
    lines += ["static inline uint64_t splax_invoke(struct splax_message *message) {"]
    for i, (macro, module) in enumerate((("__riscv", riscv64), ("__aarch64__", aarch64), ("__x86_64__", x86_64))):
        lines += [f"#{'elif' if i else 'if'} defined({macro})", _inline(module.invoke)]
    lines += [
        "#else",
        '#error "splax.h knows riscv64, aarch64 and x86_64"',
        "#endif",
        "    return message->handle;",
        "}",
        "",
        "/* What a program is: `splax_main` gives the exit status. */",
        "uint64_t splax_main(uint64_t argument);",
        "_Noreturn void program_start(uint64_t argument);",
        "#ifdef SPLAX_PROGRAM",
        "_Noreturn void program_start(uint64_t argument) {",
        "    uint64_t status = splax_main(argument);",
        "    for (;;) {",
        "        struct splax_message message = {0};",
        "        message.number = SPLAX_SYSTEM_CALL_EXIT;",
        "        message.handle = status;",
        "        splax_invoke(&message);",
        "    }",
        "}",
        "#endif",
        "#endif",
        "",
    ]
    return "\n".join(lines)
