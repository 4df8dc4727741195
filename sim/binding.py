"""The C functions of sim/native/harness.cpp, as ctypes sees them."""

import ctypes
from ctypes import c_char_p, c_int, c_size_t, c_uint8, c_uint32, c_uint64, c_void_p
from enum import IntFlag
from pathlib import Path
from typing import Any

RECENT = 64


class Stop(IntFlag):
    """Why a run ended before its cycles were over."""

    FINISH = 1
    TOHOST = 2
    ADDRESS = 4
    TEXT = 8
    RECORDS = 16
    STEP = 32


class Status(ctypes.Structure):
    """The harness's view of the machine; `struct Status` in harness.cpp."""

    _fields_ = [
        *((name, c_uint64) for name in ("cycle", "instructions", "pc", "mtime", "tohost", "last_retire")),
        *((name, c_uint64) for name in ("read_bytes", "write_bytes")),
        ("recent", c_uint64 * RECENT),
        ("events", c_uint64 * 32),
        *((name, c_uint32) for name in ("stop", "finish_code", "finish_reset", "privilege")),
    ]
    cycle: int
    instructions: int
    pc: int
    mtime: int
    tohost: int
    last_retire: int
    read_bytes: int
    write_bytes: int
    recent: Any
    events: Any
    stop: int
    finish_code: int
    finish_reset: int
    privilege: int


class Record(ctypes.Structure):
    """One retired instruction; `struct Record` in harness.cpp."""

    _fields_ = [
        *((name, c_uint64) for name in ("cycle", "order", "pc", "next_pc", "rd_value", "address")),
        *((name, c_uint64) for name in ("read_data", "write_data", "cause", "tval")),
        ("instruction", c_uint32),
        *((name, c_uint8) for name in ("rd", "mode", "trap", "interrupt", "read_mask", "write_mask")),
    ]
    cycle: int
    order: int
    pc: int
    next_pc: int
    rd_value: int
    address: int
    read_data: int
    write_data: int
    cause: int
    tval: int
    instruction: int
    rd: int
    mode: int
    trap: int
    interrupt: int
    read_mask: int
    write_mask: int


class Inside(ctypes.Structure):
    """Where something inside the design is; `struct Inside` in harness.cpp."""

    _fields_ = [("name", c_char_p), *((name, c_uint32) for name in ("offset", "size", "shift", "width"))]
    name: bytes | None
    offset: int
    size: int
    shift: int
    width: int


_FUNCTIONS: dict[str, tuple[Any, list[Any]]] = {
    "create": (c_void_p, [c_uint64, c_uint64, c_uint64, c_uint64]),
    "destroy": (None, [c_void_p]),
    "status": (ctypes.POINTER(Status), [c_void_p]),
    "status_size": (c_uint64, []),
    "record_size": (c_uint64, []),
    "reset": (None, [c_void_p]),
    "run": (c_uint32, [c_void_p, c_uint64]),
    "console_read": (c_uint64, [c_void_p, c_char_p, c_uint64]),
    "console_write": (None, [c_void_p, c_char_p, c_uint64]),
    "console_pending": (c_uint64, [c_void_p]),
    "memory_read": (c_int, [c_void_p, c_uint64, c_char_p, c_uint64]),
    "memory_write": (c_int, [c_void_p, c_uint64, c_char_p, c_uint64]),
    "set_boot_rom": (c_int, [c_void_p, c_char_p, c_uint64]),
    "registers": (c_int, [c_void_p, ctypes.POINTER(c_uint64)]),
    "inside": (ctypes.POINTER(Inside), []),
    "look": (c_void_p, [c_void_p]),
    "peek": (c_uint64, [c_void_p, c_uint64]),
    "until": (None, [c_void_p, c_char_p, c_uint64]),
    "watch_tohost": (None, [c_void_p, c_uint64]),
    "stop_addresses": (None, [c_void_p, ctypes.POINTER(c_uint64), c_uint64]),
    "stepping": (None, [c_void_p, c_int]),
    "interrupts": (None, [c_void_p, c_uint32, c_uint32]),
    "dma_start": (c_int, [c_void_p, c_uint64, c_uint64, c_uint32]),
    "dma_result": (c_int, [c_void_p, ctypes.POINTER(c_uint64)]),
    "records_start": (None, [c_void_p, c_uint64]),
    "records_last": (None, [c_void_p]),
    "records_take": (c_uint64, [c_void_p, ctypes.POINTER(ctypes.POINTER(Record))]),
    "waves_open": (c_int, [c_void_p, c_char_p]),
    "waves_close": (None, [c_void_p]),
    "save": (c_void_p, [c_void_p]),
    "saved_size": (c_size_t, [c_void_p]),
    "saved_data": (c_void_p, [c_void_p]),
    "saved_free": (None, [c_void_p]),
    "restore": (None, [c_void_p, c_char_p]),
}


class Library:
    """A simulator's shared object; every function loses its `splax_` prefix."""

    def __init__(self, path: Path):
        library = ctypes.CDLL(str(path))
        for name, (result, arguments) in _FUNCTIONS.items():
            function = getattr(library, f"splax_{name}")
            function.restype, function.argtypes = result, arguments
            setattr(self, name, function)
        for structure, size in ((Status, self.status_size()), (Record, self.record_size())):
            if ctypes.sizeof(structure) != size:
                raise AssertionError(
                    f"{structure.__name__} is {ctypes.sizeof(structure)} bytes here, {size} in harness.cpp"
                )

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(name)
