"""Address windows: which part of the address space belongs to whom.

The crossbar and the register bridge are both built from a list of these. Whoever decodes addresses shall do it here, so
that overlaps are found once and small windows cost no more than a comparison of the upper bits.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from amaranth.hdl import Const, Value


@dataclass(frozen=True)
class Window:
    """The addresses `base` to `base + size - 1`, which belong to the port `name`.

    A port may have several windows (the two PCIe memory windows are one port).
    """

    base: int
    size: int
    name: str

    def __post_init__(self) -> None:
        if not self.name.isidentifier():
            raise ValueError(f"a window's name must be a Python identifier, not {self.name!r}")
        if self.base < 0 or self.base % 8:
            raise ValueError(f"window {self.name!r}: base must be a multiple of 8, not {self.base:#x}")
        if self.size <= 0 or self.size % 8:
            raise ValueError(f"window {self.name!r}: size must be a positive multiple of 8, not {self.size:#x}")

    @property
    def end(self) -> int:
        """First address after the window."""
        return self.base + self.size

    def contains(self, address: Value) -> Value:
        """One bit: `address` is in the window."""
        if self.base >> len(address):
            return Const(0, 1)
        low = ((self.base | self.size) & -(self.base | self.size)).bit_length() - 1
        upper = address[low:]
        if self.size == 1 << low:
            return upper == self.base >> low
        in_window = upper >= self.base >> low if self.base else Const(1, 1)
        if self.end < 1 << len(address):
            in_window &= upper < self.end >> low
        return in_window


def check_windows(windows: Sequence[Window], addr_width: int) -> tuple[Window, ...]:
    """Returns `windows` after checking that there are some, that they fit `addr_width` and that none overlap."""
    ordered = sorted(windows, key=lambda window: window.base)
    if not ordered:
        raise ValueError("at least one window is needed")
    for window in ordered:
        if window.end > 1 << addr_width:
            raise ValueError(f"window {window.name!r} ends at {window.end:#x}, beyond {addr_width} address bits")
    for one, other in zip(ordered, ordered[1:], strict=False):
        if other.base < one.end:
            raise ValueError(f"windows {one.name!r} and {other.name!r} overlap at {other.base:#x}")
    return tuple(windows)


def port_names(windows: Sequence[Window]) -> list[str]:
    """The names of the ports in the order in which they appear."""
    return list(dict.fromkeys(window.name for window in windows))
