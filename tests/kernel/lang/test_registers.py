"""Register accesses from kernel code, against a Python model of the device."""

import pytest

from kernel.lang import CompileError, KernelPanic, Ptr, fn, u8, u32, u64, usize
from rtl.registers import clint, ns16550, plic

PATIENCE = 10


class Log:
    """A device that answers from a dict and notes every access."""

    def __init__(self, values=None):
        self.values = dict(values or {})
        self.log = []

    def read(self, offset, width):
        self.log.append(("read", offset, width))
        value = self.values.get(offset, 0)
        return value.pop(0) if isinstance(value, list) else value

    def write(self, offset, width, value):
        self.log.append(("write", offset, width, value))
        self.values[offset] = value


@fn
def write_byte(uart: Ptr[ns16550.Registers], byte: u8) -> bool:
    for _ in range(PATIENCE):
        if uart.lsr.read().thr_empty:
            uart.thr.write(byte)
            return True
    return False


@fn
def set_up(uart: Ptr[ns16550.Registers]) -> None:
    uart.lcr.write(word_length=ns16550.WordLength.EIGHT, dlab=True)
    uart.dll.write(12)
    uart.lcr.modify(dlab=False)


@fn
def word_length(uart: Ptr[ns16550.Registers]) -> u8:
    match uart.lcr.read().word_length:
        case ns16550.WordLength.EIGHT:
            return 8
        case ns16550.WordLength.SEVEN:
            return 7
        case _:
            return 0


@fn
def interrupt_id(uart: Ptr[ns16550.Registers]) -> u8:
    return u8(uart.iir.read().id)


@fn
def set_timer(timer: Ptr[clint.Registers], hart: usize, delta: u64) -> None:
    timer.mtimecmp[hart].write(timer.mtime.read() + delta)


@fn
def enable(controller: Ptr[plic.Registers], context: usize, word: u8, value: u32) -> None:
    controller.enable[context][word].write(value)
    controller.threshold[1].write(level=3)


def test_reads_and_writes_have_the_register_s_offset_and_width():
    device = Log({5: [0, 0, 0x20]})
    assert write_byte(device, 0x41)
    assert device.log == [("read", 5, 8)] * 3 + [("write", 0, 8, 0x41)]
    assert not write_byte(Log(), 0x41)


def test_fields_enums_and_modify():
    device = Log()
    set_up(device)
    assert device.log == [("write", 3, 8, 0x83), ("write", 0, 8, 12), ("read", 3, 8), ("write", 3, 8, 0x03)]
    assert word_length(Log({3: 2})) == 7 and word_length(Log({3: 0})) == 0
    assert interrupt_id(Log({2: 0b1100})) == 6


def test_a_field_value_that_has_no_name_is_a_panic():
    with pytest.raises(KernelPanic, match="not a member of InterruptId: 7"):
        interrupt_id(Log({2: 0b1110}))


def test_register_arrays_are_bounds_checked():
    device = Log({0xBFF8: 1000})
    set_timer(device, 3, 5)
    assert device.log == [("read", 0xBFF8, 64), ("write", 0x4000 + 8 * 3, 64, 1005)]
    with pytest.raises(KernelPanic, match="index out of bounds.*: 4095, 4095"):
        set_timer(device, 4095, 5)
    device = Log()
    enable(device, 1, 2, 7)
    assert device.log == [("write", 0x2000 + 0x80 + 8, 32, 7), ("write", 0x201000, 32, 3)]
    with pytest.raises(KernelPanic, match="index out of bounds"):
        enable(device, 2, 0, 7)


def test_what_the_device_raises_arrives():
    class Broken(Log):
        def read(self, offset, width):
            raise ConnectionError("no answer")

    with pytest.raises(ConnectionError, match="no answer"):
        write_byte(Broken(), 1)
    with pytest.raises(ValueError, match="not an int of 8 bits"):
        write_byte(Log({5: 256}), 1)
    with pytest.raises(TypeError, match="needs read"):
        write_byte(object(), 1)


def test_a_kernel_function_may_be_called_from_a_device():
    class Nested(Log):
        def read(self, offset, width):
            return word_length(Log({3: 3})) << 2

    assert write_byte(Nested(), 1)


def test_access_rules_are_checked():
    @fn
    def wrong(uart: Ptr[ns16550.Registers]) -> None:
        uart.lsr.write(0)
        _ = uart.thr.read()
        uart.lsr.modify(data_ready=True)
        uart.thr.modify(x=1)
        uart.lcr.write(word_lenght=1)
        _ = uart.lsr
        _ = uart.nothing.read()

    with pytest.raises(CompileError) as caught:
        wrong(Log())
    assert caught.value.codes == ["K308", "K308", "K308", "K308", "K207", "K307", "K207"]
