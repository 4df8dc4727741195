"""The register bus: what a peripheral with registers speaks, below the AXI4 bridge.

One access at a time. The bridge holds `request.valid` and the payload until the device raises `done`; in that cycle
`read_data` and `error` count. A device may answer in the first cycle. `mask` names the bytes that the access touches,
for reads too, so that a read has side effects only where it reads (a 16550's receive buffer is one byte).
"""

from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out


class Signature(wiring.Signature):
    """A register-bus port as seen by the bridge (`Out` on the bridge, `In` on the device).

    Parameters
    ----------
    addr_width : int
        Address bits inside the device's window.

    Members
    -------
    valid : Out(1)
        An access is offered; held with the fields below until `done`.
    write : Out(1)
        Write (1) or read (0).
    address : Out(addr_width)
        Byte address in the window, aligned to 8; the bytes accessed are named by `mask`.
    mask : Out(8)
        Bytes accessed, bit n for byte lane n.
    write_data : Out(64)
        Data in its byte lanes.
    done : In(1)
        The access is over in this cycle.
    read_data : In(64)
        Data in its byte lanes, counted while `done`.
    error : In(1)
        The access is refused: becomes SLVERR and an access fault. Counted while `done`.
    """

    def __init__(self, *, addr_width: int):
        if addr_width < 3:
            raise ValueError(f"addr_width must be 3 or more, not {addr_width!r}")
        self.addr_width = addr_width
        super().__init__(
            {
                "valid": Out(1),
                "write": Out(1),
                "address": Out(addr_width),
                "mask": Out(8),
                "write_data": Out(64),
                "done": In(1),
                "read_data": In(64),
                "error": In(1),
            }
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Signature) and self.addr_width == other.addr_width

    def __repr__(self) -> str:
        return f"register_bus.Signature(addr_width={self.addr_width})"
