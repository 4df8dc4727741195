"""Drivers against models of their devices, host-native: what each register is told, and in which order."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernel import input_ring
from kernel.arch.x86_64 import console, cpu, hpet, instructions, io_apic, local_apic, pit, power, timer
from kernel.boot_info import BootInfo, ConsoleKind, Text


class Ports(instructions.Machine):
    """I/O ports that keep what is written; `reads` gives a port's next values."""

    def __init__(self):
        self.written, self.values, self.reads = [], {}, {}

    def read_port(self, port, width):
        waiting = self.reads.get(port)
        return waiting.pop(0) if waiting else self.values.get(port, 0)

    def write_port(self, port, width, value):
        self.written.append((port, value))
        self.values[port] = value


@pytest.fixture
def ports(monkeypatch):
    model = Ports()
    monkeypatch.setattr(instructions, "machine", model)
    return model


def text(value):
    return bytes(list(value.bytes)[: value.length]).decode()


# The console


def test_com1_is_set_to_115200_8n1_with_fifos_and_its_interrupt_gate(ports):
    info = BootInfo()
    console.initialize(info)
    assert info.console == ConsoleKind.NS16550 and info.console_base == 0x3F8 and info.console_interrupt == 4
    setup = ports.written[2:]  # behind the scratch register's two
    assert setup.index((0x3FB, 0x80)) < setup.index((0x3F8, 1)) < setup.index((0x3FB, 0x03)), "divisor, then DLAB off"
    assert (0x3F9, 0) in setup and (0x3FA, 0x07) in setup and (0x3FC, 0x0B) in setup


def test_without_a_uart_there_is_no_console_and_no_wait(ports):
    ports.values[0x3FF] = 0xFF
    ports.write_port = lambda port, width, value: None  # an empty bus: nothing is kept
    info = BootInfo()
    console.initialize(info)
    assert info.console == ConsoleKind.NONE
    console.write_byte(65)


def test_bytes_are_sent_when_there_is_room_and_received_into_the_ring(ports):
    console.initialize(BootInfo())
    ports.reads[0x3FD] = [0x00, 0x00, 0x20]
    console.write_byte(65)
    assert ports.written[-1] == (0x3F8, 65) and not ports.reads[0x3FD]
    ports.reads[0x3FD] = [0x61, 0x61, 0x60]
    ports.reads[0x3F8] = [104, 105]
    console.receive()
    assert [console.read_byte() for _ in range(3)] == [104, 105, input_ring.NO_BYTE]


# APICs


class IoApic:
    """Registers behind an index and a window."""

    def __init__(self, version=0x0017_0020):
        self.index, self.registers, self.log = 0, {1: version}, []

    def read(self, offset, width):
        return self.registers.get(self.index, 0) if offset == 0x10 else self.index

    def write(self, offset, width, value):
        if offset == 0:
            self.index = value
        else:
            self.registers[self.index] = value
            self.log.append((self.index, value))


def test_every_input_of_the_io_apic_is_masked_first():
    device = IoApic()
    io_apic.mask_all(device)
    assert [index for index, _ in device.log] == [0x10 + 2 * n for n in range(24)]
    assert all(value == 1 << 16 for _, value in device.log)


def test_an_input_is_routed_as_its_override_says_and_unmasked_last():
    device = IoApic()
    io_apic.route(device, 9, 0x39, 0x000D, 3)  # the SCI of a PC: high, level
    assert device.log == [(0x22, 0x39 | 1 << 15 | 1 << 16), (0x23, 3 << 24), (0x22, 0x39 | 1 << 15)]
    io_apic.route(device, 4, 0x34, 0x000F, 0)  # low, level
    assert device.registers[0x18] == 0x34 | 1 << 13 | 1 << 15
    io_apic.mask(device, 4)
    assert device.registers[0x18] == 0x34 | 1 << 13 | 1 << 15 | 1 << 16
    io_apic.unmask(device, 4)
    assert device.registers[0x18] == 0x34 | 1 << 13 | 1 << 15


class Registers:
    """Memory-mapped registers that keep what is written."""

    def __init__(self, **values):
        self.values, self.log = {int(k[1:], 16): v for k, v in values.items()}, []

    def read(self, offset, width):
        return self.values.get(offset, 0)

    def write(self, offset, width, value):
        self.values[offset] = value
        self.log.append((offset, value))


def test_the_apic_timer_counts_once_or_again_and_again_by_the_count_written_last():
    device = Registers()
    local_apic.start_timer(device, 0xF0, 1000, False)
    assert device.log == [(0x3E0, 0b0011), (0x320, 0xF0), (0x380, 1000)]
    local_apic.start_timer(device, 0xF0, 1000, True)
    assert device.values[0x320] == 0xF0 | 1 << 17
    local_apic.stop_timer(device)
    assert device.values[0x320] >> 16 & 1 and device.values[0x380] == 0


def test_the_apic_accepts_everything_but_the_8259():
    device = Registers()
    local_apic.enable(device, 0xFF)
    assert device.values[0xF0] == 0x1FF and device.values[0x80] == 0
    assert all(device.values[n] >> 16 & 1 for n in (0x320, 0x350))
    assert device.values[0x360] == 4 << 8, "LINT1: a non-maskable interrupt"


# Clocks


@pytest.mark.parametrize(
    ("period", "hertz"), [(10_000_000, 100_000_000), (69_841_279, 14_318_179), (0, 0), (99_999, 0)]
)
def test_the_hpets_frequency_comes_from_its_period(period, hertz):
    assert hpet.frequency(Registers(x0=period << 32)) == hertz
    assert hpet.frequency(Registers(x0=(0x05F5_E101) << 32)) == 0, "longer than the specification allows"


@pytest.mark.parametrize(
    ("wide", "since", "now", "passed"),
    [(True, 5, 2**40, 2**40 - 5), (False, 2**32 - 10, 6, 16), (False, 6, 6, 0), (True, 6, 5, 0)],
)
def test_hpet_counters_of_both_widths_are_subtracted_right(wide, since, now, passed):
    assert hpet.elapsed(Registers(x0=wide << 13, xF0=now), since) == passed


@pytest.mark.parametrize(
    ("routes", "inputs", "route"),
    [
        (0x00FF_0104, 24, 23),
        (0xFFFF_FFFF, 32, 31),
        (0xFFFF_FFFF, 20, 19),
        (0x0000_0104, 24, 0),
        (1 << 24, 24, 0),
        (0, 24, 0),
    ],
)
def test_the_hpets_alarm_goes_to_an_input_of_the_io_apic_that_there_is_and_that_is_no_isa_devices(
    routes, inputs, route
):
    device = Registers(x100=routes << 32)
    assert hpet.route_alarm(device, inputs) == route
    assert device.log == ([(0x100, 1 << 1 | route << 9)] if route else []), "level-triggered, not enabled"


def test_the_8254_counts_down_once_with_the_gate_open_at_the_end(ports):
    ports.values[0x61] = 0x03
    pit.start(0x1234)
    assert ports.written == [(0x61, 0x00), (0x43, 0xB0), (0x42, 0x34), (0x42, 0x12), (0x61, 0x01)]
    ports.reads[0x61] = [0x00, 0x20]
    pit.wait()
    assert not ports.reads[0x61]


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    st.integers(1_000_000, 10_000_000_000),
    st.sampled_from([1_193_182, 14_318_179, 100_000_000, 10_000_000_000]),
    st.integers(1, 20),
)
def test_measured_frequencies_are_exact(hertz, yardstick_hertz, milliseconds):
    counts = hertz * milliseconds // 1000
    yardstick = yardstick_hertz * milliseconds // 1000
    assert timer.scaled(counts, yardstick_hertz, yardstick) == counts * yardstick_hertz // yardstick


# The CPU


def cpuid_model(monkeypatch, leaves):
    model = Ports()
    model.cpuid = lambda leaf, subleaf: leaves.get(leaf, (0, 0, 0, 0))
    monkeypatch.setattr(instructions, "machine", model)


def words(data):
    return tuple(int.from_bytes(data[n : n + 4], "little") for n in range(0, 16, 4))


def test_the_brand_string_is_trimmed(monkeypatch):
    brand = b"     Some(R) CPU @ 3.2GHz   ".ljust(48, b"\0")
    leaves = {0x8000_0000: (0x8000_0008, 0, 0, 0)}
    leaves |= {0x8000_0002 + n: words(brand[16 * n : 16 * n + 16]) for n in range(3)}
    cpuid_model(monkeypatch, leaves)
    found = Text()
    cpu.read_brand(found)
    assert text(found) == "Some(R) CPU @ 3.2GHz"


def test_without_a_brand_string_the_vendor_is_named(monkeypatch):
    ebx, edx, ecx = (int.from_bytes(b"GenuineIntel"[n : n + 4], "little") for n in (0, 4, 8))
    cpuid_model(monkeypatch, {0: (1, ebx, ecx, edx), 0x8000_0000: (0x8000_0001, 0, 0, 0)})
    found = Text()
    cpu.read_brand(found)
    assert text(found) == "GenuineIntel"


def test_a_leaf_that_the_cpu_does_not_have_is_not_believed(monkeypatch):
    everything = (0xFFFF_FFFF,) * 4
    cpuid_model(monkeypatch, {0: (1, 0, 0, 0), 0x8000_0000: (0, 0, 0, 0), 7: everything, 0x8000_0001: everything})
    assert not cpu.has_smep() and not cpu.has_smap() and not cpu.has_huge_pages()
    cpuid_model(monkeypatch, {0: (7, 0, 0, 0), 7: (0, 1 << 7 | 1 << 20, 1 << 2, 0)})
    assert cpu.has_smep() and cpu.has_smap() and cpu.has_umip()


# Power


def test_soft_off_writes_the_sleep_type_before_it_enables_it(ports):
    ports.values[0x604] = 0x1C01  # SCI_EN, and an old sleep type
    power.sleep(0x604, 5)
    assert ports.written == [(0x604, 5 << 10 | 1), (0x604, 5 << 10 | 1 << 13 | 1)]


# Ticks of the microkernel


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.integers(20_000_000, 10_000_000_000), st.integers(0, 1 << 55))
def test_time_stamps_and_ticks_agree_to_a_tick(hertz, ticks):
    timer.timestamp_hz.value = hertz
    timer.ticks_factor.value = instructions.divide_high(10_000_000, hertz)
    stamp = timer.timestamp_at(ticks)
    if stamp == timer.NEVER:
        assert ticks * hertz >= (1 << 64) * 10_000_000 * 0.99
        return
    assert abs(timer.ticks_at(stamp) - ticks) <= 1


def test_no_deadline_is_beyond_all_time():
    timer.timestamp_hz.value = 2_000_000_000
    assert timer.timestamp_at((1 << 64) - 1) == timer.NEVER
