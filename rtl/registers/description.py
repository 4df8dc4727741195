"""The vocabulary in which registers are described: plain Python, no gates.

A register file is a class whose attributes are registers:

    class Registers(RegisterFile, size=8, access_bytes=(1,)):
        '''16550D, section 8.'''

        lsr = Register(
            5, 8, Access.RO, reset=0x60, doc="line status",
            fields={"data_ready": Field(0, doc="a received byte waits"), "thr_empty": Field(5)},
        )

`Registers.lsr.offset`, `Registers.lsr.fields["thr_empty"].mask`, `Registers.registers()` are what generators read;
`Registers.lsr.unpack(0x61)` and `.pack(data_ready=1)` are what tests and decoders of waves use. Everything is checked
when the class is made: overlapping fields, registers outside the file, two registers that claim the same bytes in the
same bank and direction.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from enum import Enum, IntEnum


class Access(Enum):
    """What software may do with a register or a field."""

    RW = "rw"  # read and write
    RO = "ro"  # read; writes are ignored
    WO = "wo"  # write; reads give zero, or another register at the same offset
    W1C = "w1c"  # read; writing 1 clears
    RC = "rc"  # read clears
    RESERVED = "reserved"  # keep clear: reads as the reset value

    @property
    def readable(self) -> bool:
        return self is not Access.WO

    @property
    def writable(self) -> bool:
        return self in (Access.RW, Access.WO, Access.W1C)


@dataclass(frozen=True)
class Field:
    """Bits of a register with a name.

    lsb      lowest bit position
    width    bits
    access   None: the register's
    enum     names of the values
    """

    lsb: int
    width: int = 1
    access: Access | None = None
    enum: type[IntEnum] | None = None
    doc: str = ""

    def __post_init__(self) -> None:
        if self.lsb < 0 or self.width < 1:
            raise ValueError(f"a field needs lsb >= 0 and width >= 1, not lsb={self.lsb!r} width={self.width!r}")
        if self.enum is not None:
            for member in self.enum:
                if not 0 <= member < 1 << self.width:
                    raise ValueError(
                        f"{self.enum.__name__}.{member.name} = {member.value} does not fit {self.width} bits"
                    )

    @property
    def mask(self) -> int:
        """The field's bits, in place."""
        return ((1 << self.width) - 1) << self.lsb

    def get(self, value: int) -> int:
        """The field's value in a register's value."""
        return (value & self.mask) >> self.lsb


@dataclass(frozen=True)
class Array:
    """A dimension of a register array: `count` elements, `stride` bytes apart."""

    count: int
    stride: int


@dataclass(frozen=True)
class Register:
    """One register, or an array of equal ones.

    offset   bytes from the start of the file
    width    8, 16, 32 or 64 bits
    access   of the whole register
    reset    value after reset
    fields   name -> Field; a register without fields is one number
    array    dimensions, outermost first
    bank     (register, field, value): the register is there only while that field has that value
    volatile the device gives the value on a read; otherwise the register keeps what software wrote
    """

    offset: int
    width: int
    access: Access
    reset: int = 0
    doc: str = ""
    fields: Mapping[str, Field] = dataclass_field(default_factory=dict)
    array: tuple[Array, ...] = ()
    bank: tuple[str, str, int] | None = None
    volatile: bool = False
    name: str = ""

    def __post_init__(self) -> None:
        if self.width not in (8, 16, 32, 64):
            raise ValueError(f"a register is 8, 16, 32 or 64 bits wide, not {self.width!r}")
        if self.offset < 0 or self.offset % self.bytes:
            raise ValueError(
                f"a {self.width}-bit register needs an offset that is a multiple of {self.bytes}, not {self.offset:#x}"
            )
        if not 0 <= self.reset < 1 << self.width:
            raise ValueError(f"reset value {self.reset:#x} does not fit {self.width} bits")
        taken = 0
        for name, field in self.fields.items():
            if field.mask >> self.width:
                raise ValueError(
                    f"field {name!r} (bits {field.lsb}..{field.lsb + field.width - 1}) is outside {self.width} bits"
                )
            if field.mask & taken:
                raise ValueError(f"field {name!r} overlaps another field")
            taken |= field.mask

    def __set_name__(self, owner: type, name: str) -> None:
        object.__setattr__(self, "name", name)

    @property
    def bytes(self) -> int:
        """Size of one element in bytes."""
        return self.width // 8

    @property
    def count(self) -> int:
        """Elements of the array; 1 for a single register."""
        count = 1
        for dimension in self.array:
            count *= dimension.count
        return count

    def address(self, *index: int) -> int:
        """Offset of an element."""
        if len(index) != len(self.array):
            raise IndexError(f"{self.name} has {len(self.array)} dimensions, {len(index)} indices were given")
        offset = self.offset
        for value, dimension in zip(index, self.array, strict=True):
            if not 0 <= value < dimension.count:
                raise IndexError(f"{self.name}: index {value} is outside 0..{dimension.count - 1}")
            offset += value * dimension.stride
        return offset

    def addresses(self) -> Iterator[int]:
        """Offsets of all elements, in index order."""

        def walk(offset: int, dimensions: tuple[Array, ...]) -> Iterator[int]:
            if not dimensions:
                yield offset
                return
            for n in range(dimensions[0].count):
                yield from walk(offset + n * dimensions[0].stride, dimensions[1:])

        yield from walk(self.offset, self.array)

    def field_access(self, name: str) -> Access:
        """Access of a field: its own, or the register's."""
        return self.fields[name].access or self.access

    @property
    def writable_mask(self) -> int:
        """Bits that a write changes (Access.RW and WO)."""
        if not self.fields:
            return (1 << self.width) - 1 if self.access in (Access.RW, Access.WO) else 0
        mask = 0
        for name, field in self.fields.items():
            if self.field_access(name) in (Access.RW, Access.WO):
                mask |= field.mask
        return mask

    def pack(self, **values: int) -> int:
        """A register value from field values; fields that are not named keep the reset value."""
        result = self.reset
        for name, value in values.items():
            if name not in self.fields:
                raise KeyError(f"{self.name} has no field {name!r}; it has {', '.join(self.fields) or 'none'}")
            field = self.fields[name]
            if not 0 <= value < 1 << field.width:
                raise ValueError(f"{self.name}.{name} is {field.width} bits wide, {value:#x} does not fit")
            result = result & ~field.mask | value << field.lsb
        return result

    def unpack(self, value: int) -> dict[str, int]:
        """Field values of a register value, as enum members where the value has a name."""
        result: dict[str, int] = {}
        for name, field in self.fields.items():
            number = field.get(value)
            names = {member.value: member for member in field.enum} if field.enum is not None else {}
            result[name] = names.get(number, number)
        return result


class RegisterFile:
    """Base of all register files; see the module's text.

    Class arguments
    ---------------
    size : int
        Bytes the file occupies.
    access_bytes : tuple[int, ...]
        Access sizes that the device answers; the others are refused with an error.
    gaps : str
        What is where no register is: "zero" (reads 0, writes ignored), "ones" (reads all ones) or "error".
    """

    size: int
    access_bytes: tuple[int, ...]
    gaps: str
    _registers: dict[str, Register]

    def __init_subclass__(cls, *, size: int, access_bytes: tuple[int, ...], gaps: str = "zero") -> None:
        super().__init_subclass__()
        if gaps not in ("zero", "ones", "error"):
            raise ValueError(f"gaps must be 'zero', 'ones' or 'error', not {gaps!r}")
        if not access_bytes or any(n not in (1, 2, 4, 8) for n in access_bytes):
            raise ValueError(f"access_bytes must name sizes of 1, 2, 4 or 8, not {access_bytes!r}")
        cls.size = size
        cls.access_bytes = access_bytes
        cls.gaps = gaps
        cls._registers = {name: value for name, value in vars(cls).items() if isinstance(value, Register)}
        cls._check()

    @classmethod
    def registers(cls) -> dict[str, Register]:
        """Name -> register, in the order of description."""
        return dict(cls._registers)

    @classmethod
    def _check(cls) -> None:
        claimed: dict[tuple[int, str], list[Register]] = {}
        for name, register in cls._registers.items():
            if register.bank is not None:
                selector, field, value = register.bank
                if selector not in cls._registers or field not in cls._registers[selector].fields:
                    raise ValueError(f"{cls.__qualname__}.{name}: bank names {selector}.{field}, which is not there")
                if value >> cls._registers[selector].fields[field].width:
                    raise ValueError(f"{cls.__qualname__}.{name}: {selector}.{field} cannot be {value}")
            directions = {
                Access.WO: ("write",),
                Access.RO: ("read",),
                Access.RC: ("read",),
            }.get(register.access, ("read", "write"))
            for address in register.addresses():
                if address + register.bytes > cls.size:
                    raise ValueError(
                        f"{cls.__qualname__}.{name} at {address:#x} is outside the {cls.size:#x} bytes of the file"
                    )
                for byte in range(address, address + register.bytes):
                    for direction in directions:
                        others = claimed.setdefault((byte, direction), [])
                        for other in others:
                            if other.bank is None or register.bank is None or other.bank == register.bank:
                                raise ValueError(
                                    f"{cls.__qualname__}.{name} and .{other.name} both {direction} byte {byte:#x}"
                                )
                        others.append(register)
