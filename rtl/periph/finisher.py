"""The test finisher (sifive,test1): software ends or resets the machine with one store.

The register is described in `rtl.registers.sifive_test`.
"""

from amaranth.lib import wiring
from amaranth.lib.wiring import Out


class FinishSignature(wiring.Signature):
    """What software asked for.

    Members
    -------
    valid : Out(1)
        Software wrote an end or reset command; high for that one cycle.
    reset : Out(1)
        It is a reset (0x7777); else the machine shall end.
    code : Out(16)
        Exit status: 0 for pass (0x5555), else the code of a fail (0x3333).
    """

    def __init__(self) -> None:
        super().__init__({"valid": Out(1), "reset": Out(1), "code": Out(16)})
