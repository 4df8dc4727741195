from kernel.lang import fn

namespace = {"fn": fn}
exec("@fn\ndef f() -> None:\n    pass\n", namespace)
f = namespace["f"]
