"""The C that only host-native builds have: entry wrappers, panics by longjmp, callbacks into Python.

Every exported function gets a wrapper `kpx_NAME`. A panic inside leaves through longjmp to the innermost wrapper,
which returns with `kp_state.failed` set; Python then raises. A callback that raised (an MMIO object, an assembly
model) sets `kp_state.callback_failed`; the C stops the same way as soon as the callback is back.
"""

from typing import TYPE_CHECKING

from kernel.lang.declare import Function
from kernel.lang.types import NEVER, VOID, SpanType

if TYPE_CHECKING:
    from kernel.lang.emit_c import Emitter

SUPPORT = """
#include <setjmp.h>

/* kernel.lang.native.State mirrors this. */
struct kp_state {
    int failed; /* 0 no, 1 panic, 2 a callback raised, 3 undefined behaviour */
    int callback_failed;
    PanicSite *site;
    u64 left, right;
    const char *behaviour;
};
struct kp_state kp_state;
static jmp_buf *kp_exit;

static _Noreturn void kp_leave(int failed) {
    kp_state.failed = failed;
    _longjmp(*kp_exit, 1);
}

_Noreturn void kernel_panic(PanicSite *site, u64 left, u64 right) {
    kp_state.site = site;
    kp_state.left = left;
    kp_state.right = right;
    kp_leave(1);
}

void kp_after_callback(void) {
    if (kp_state.callback_failed) {
        kp_state.callback_failed = 0;
        kp_leave(2);
    }
}

u64 (*kp_read_callback)(u64 address, u32 width);
void (*kp_write_callback)(u64 address, u32 width, u64 value);

u64 kp_mmio_read(u64 address, u32 width) {
    u64 value = kp_read_callback(address, width);
    kp_after_callback();
    return value;
}

void kp_mmio_write(u64 address, u32 width, u64 value) {
    kp_write_callback(address, width, value);
    kp_after_callback();
}
"""

# The runtime interface of -fsanitize-minimal-runtime: one function for each kind of undefined behaviour.
UBSAN_KINDS = (
    "type_mismatch alignment_assumption add_overflow sub_overflow mul_overflow negate_overflow divrem_overflow "
    "shift_out_of_bounds out_of_bounds local_out_of_bounds builtin_unreachable missing_return vla_bound_not_positive "
    "float_cast_overflow load_invalid_value invalid_builtin invalid_objc_cast function_type_mismatch "
    "implicit_conversion nonnull_arg nonnull_return nullability_arg nullability_return pointer_overflow "
    "cfi_check_fail"
).split()


def sanitizer_handlers() -> str:
    """C that turns UBSan's findings into exceptions."""
    lines = []
    for kind in UBSAN_KINDS:
        for suffix in ("minimal", "minimal_abort"):
            lines.append(
                f"void __ubsan_handle_{kind}_{suffix}(void); void __ubsan_handle_{kind}_{suffix}(void) "
                f'{{ kp_state.behaviour = "{kind.replace("_", " ")}"; kp_leave(3); }}'
            )
    return "#ifdef KERNEL_UBSAN\n" + "\n".join(lines) + "\n#endif\n"


def wrappers(emitter: "Emitter") -> list[str]:
    """Support code and one wrapper for each root function."""
    parts = ['#line 1 "native support"', SUPPORT, sanitizer_handlers()]
    for function in emitter.program.roots:
        parts.append(_wrapper(emitter, function))
    return parts


def _wrapper(emitter: "Emitter", function: Function) -> str:
    body = emitter.program.bodies[function]
    name, result = emitter.function_names[function], body.result
    names = [f"a{i}" for i in range(len(body.parameters))]
    declared = [emitter.types.declare(v.type, n) for v, n in zip(body.parameters, names, strict=True)]
    call = f"{name}({', '.join(names)})"
    pointer = result.aggregate or isinstance(result, SpanType)
    if result is VOID or result is NEVER:
        kept, back, kind = f"{call};", "", "void"
    elif pointer:
        declared.append(f"{emitter.types.name(result)} *result")
        kept, back, kind = f"*result = {call};", "", "void"
    else:
        kind = emitter.types.name(result)
        kept, back = f"result = {call};", "return result;"
    local = f"{kind} volatile result = 0; " if back else ""
    space = "" if kind.endswith("*") else " "
    head = f"{kind}{space}kpx_{name}({', '.join(declared) or 'void'})"
    return (
        f"{head};\n{head} {{\n    jmp_buf here; jmp_buf *volatile outer = kp_exit; {local}\n"
        f"    if (_setjmp(here) == 0) {{ kp_exit = &here; {kept} }}\n    kp_exit = outer;\n    {back}\n}}\n"
    )
