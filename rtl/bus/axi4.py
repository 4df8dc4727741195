"""AXI4 (ARM IHI 0022) as Amaranth signatures.

Five channels, each an Amaranth stream, so that a channel is one `valid`/`ready`/`payload` triple and every handshake in
the SoC reads the same. Bursts in this SoC are INCR; a cache line is one burst of eight 64-bit beats.
"""

from amaranth.lib import data, enum, stream, wiring
from amaranth.lib.wiring import In, Out


class Burst(enum.Enum, shape=2):
    """AxBURST (A3.4.1)."""

    FIXED = 0
    INCR = 1
    WRAP = 2


class Resp(enum.Enum, shape=2):
    """xRESP (A3.4.4)."""

    OKAY = 0
    EXOKAY = 1
    SLVERR = 2
    DECERR = 3


def address_layout(addr_width: int, id_width: int) -> data.StructLayout:
    """AW and AR payload: `len` is beats - 1, `size` is log2(bytes per beat)."""
    return data.StructLayout({"id": id_width, "addr": addr_width, "len": 8, "size": 3, "burst": Burst})


def write_data_layout(data_width: int) -> data.StructLayout:
    """W payload."""
    return data.StructLayout({"data": data_width, "strb": data_width // 8, "last": 1})


def write_response_layout(id_width: int) -> data.StructLayout:
    """B payload."""
    return data.StructLayout({"id": id_width, "resp": Resp})


def read_data_layout(data_width: int, id_width: int) -> data.StructLayout:
    """R payload."""
    return data.StructLayout({"id": id_width, "data": data_width, "resp": Resp, "last": 1})


class Signature(wiring.Signature):
    """An AXI4 port as seen by the manager (`Out` on the manager, `In` on the subordinate).

    Parameters
    ----------
    addr_width : int
        Address bits.
    data_width : int
        Data bits; a power of two, 8..1024.
    id_width : int
        Transaction identifier bits, at least 1.

    Members
    -------
    aw, w, ar : Out(stream)
        Write address, write data, read address.
    b, r : In(stream)
        Write response, read data.
    """

    def __init__(self, *, addr_width: int, data_width: int = 64, id_width: int = 2):
        if data_width not in (8, 16, 32, 64, 128, 256, 512, 1024):
            raise ValueError(f"data_width must be a power of two from 8 to 1024, not {data_width!r}")
        if addr_width < 12:
            raise ValueError(f"addr_width must be 12 or more (a burst may not cross 4 KiB), not {addr_width!r}")
        if id_width < 1:
            raise ValueError(f"id_width must be 1 or more, not {id_width!r}")
        self.addr_width = addr_width
        self.data_width = data_width
        self.id_width = id_width
        super().__init__(
            {
                "aw": Out(stream.Signature(address_layout(addr_width, id_width))),
                "w": Out(stream.Signature(write_data_layout(data_width))),
                "b": In(stream.Signature(write_response_layout(id_width))),
                "ar": Out(stream.Signature(address_layout(addr_width, id_width))),
                "r": In(stream.Signature(read_data_layout(data_width, id_width))),
            }
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Signature) and (self.addr_width, self.data_width, self.id_width) == (
            other.addr_width,
            other.data_width,
            other.id_width,
        )

    def __repr__(self) -> str:
        return f"axi4.Signature(addr_width={self.addr_width}, data_width={self.data_width}, id_width={self.id_width})"
