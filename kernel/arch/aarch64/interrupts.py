"""Device interrupts and the timer's: a GIC of version 2 or 3, which the device tree or ACPI's MADT names.

All interrupts are of group 1 with one priority, and go to the boot CPU.
"""

from kernel import clock, devicetree
from kernel.arch.aarch64 import console, cpu, paging
from kernel.arch.aarch64.gic import CpuInterface, Distributor, Redistributor
from kernel.arch.aarch64.specifier import interrupt_of
from kernel.boot_info import BootInfo, ConsoleKind, ControllerKind
from kernel.boot_tree import tree
from kernel.core import system_calls
from kernel.core.interrupts import arrived
from kernel.devicetree import NO_NODE, Range
from kernel.lang import *

FIRST_SHARED = 32
SPURIOUS = 1020  # and above
PRIORITY = 0xA0
LOWEST = 0xFF
MOST_AT_ONCE = 64
MOST_CPUS = 512
_AFFINITY = 0xFF_00FF_FFFF

version = variable(ControllerKind, ControllerKind.NONE)
distributor_base = variable(usize, 0)
cpu_base = variable(usize, 0)  # CPU interface, or this CPU's redistributor
timer_interrupt = variable(u32, 0)
served = variable(u64, 0)
console_connected = variable(bool, False)  # the kernel takes its interrupt
running_users = variable(bool, False)


@assembly("aarch64", "msr s3_0_c12_c12_5, {value}\nisb", clobbers=["memory"])
def write_sre(value: u64) -> None:
    """ICC_SRE_EL1: bit 0, the interface is system registers."""


@assembly("aarch64", "msr s3_0_c4_c6_0, {value}")
def write_pmr(value: u64) -> None:
    """ICC_PMR_EL1."""


@assembly("aarch64", "msr s3_0_c12_c12_7, {value}\nisb", clobbers=["memory"])
def write_igrpen1(value: u64) -> None:
    """ICC_IGRPEN1_EL1."""


@assembly("aarch64", "mrs {result}, s3_0_c12_c12_0\ndsb sy", clobbers=["memory"])
def acknowledge() -> u64:
    """ICC_IAR1_EL1: takes the pending interrupt."""
    return 0


@assembly("aarch64", "msr s3_0_c12_c12_1, {number}\nisb", clobbers=["memory"])
def end(number: u64) -> None:
    """ICC_EOIR1_EL1."""


@fn
def find(blob: View[u8], info: Ptr[BootInfo]) -> None:
    """The GIC, its two parts, and the virtual timer's interrupt (bindings/timer/arm,arch_timer: the third)."""
    here = ptr(tree)
    kind = ControllerKind.GIC_V3
    node = devicetree.find_compatible(blob, here, 0, "arm,gic-v3")
    if node == NO_NODE:
        kind = ControllerKind.GIC_V2
        node = devicetree.find_compatible(blob, here, 0, "arm,cortex-a15-gic")
    if node == NO_NODE:
        node = devicetree.find_compatible(blob, here, 0, "arm,gic-400")
    if node == NO_NODE:
        return
    first = Range(base=0, size=0)
    second = Range(base=0, size=0)
    if not devicetree.read_reg(blob, here, node, 0, ptr(first)):
        return
    if not devicetree.read_reg(blob, here, node, 1, ptr(second)):
        return
    info.controller = kind
    info.controller_base = first.base
    info.controller_bytes = first.size
    info.controller_base_2 = second.base
    info.controller_bytes_2 = second.size
    timer = devicetree.find_compatible(blob, here, 0, "arm,armv8-timer")
    if timer != NO_NODE:
        info.timer_interrupt = interrupt_of(blob, timer, 2)


@fn
def initialize(info: Ptr[BootInfo]) -> None:
    """Lets every priority through to this CPU; only the timer is enabled yet."""
    global version, distributor_base, timer_interrupt
    if info.controller == ControllerKind.NONE:
        return
    distributor_base = paging.map_device(info, info.controller_base, Distributor.size)
    version = info.controller
    timer_interrupt = info.timer_interrupt
    if version == ControllerKind.GIC_V2:
        start_version_2(info)
    else:
        start_version_3(info)
    if timer_interrupt != 0:
        enable(timer_interrupt)


@fn
def start_version_2(info: Ptr[BootInfo]) -> None:
    """Distributor and CPU interface (IHI 0048 4.1.5, 4.3.1, 4.4.1)."""
    global cpu_base
    cpu_base = paging.map_device(info, info.controller_base_2, CpuInterface.size)
    distributor().ctlr.write(group_0=True)
    interface = pointer_at(cpu_base, CpuInterface)
    interface.pmr.write(LOWEST)
    interface.ctlr.write(enable=True)


@fn
def start_version_3(info: Ptr[BootInfo]) -> None:
    """Distributor, this CPU's redistributor, and the system registers (IHI 0069 12.9.4, 12.11.42)."""
    global cpu_base
    distributor().ctlr.write(are=True, group_1=True)
    frames = paging.map_device(info, info.controller_base_2, info.controller_bytes_2)
    mine = affinity_32()
    for i in bounded(range(info.controller_bytes_2 // Redistributor.size), MOST_CPUS):
        candidate = pointer_at(frames + usize(i) * Redistributor.size, Redistributor)
        typer = candidate.typer.read()
        if typer.affinity == mine:
            cpu_base = frames + usize(i) * Redistributor.size
            break
        if typer.last:
            break
    assert cpu_base != 0, "the interrupt controller has no redistributor for this CPU"
    here = redistributor()
    here.waker.write(processor_sleep=False)
    for _ in range(1 << 20):
        if not here.waker.read().children_asleep:
            break
    here.igroupr0.write(0xFFFF_FFFF)
    write_sre(1)
    write_pmr(LOWEST)
    write_igrpen1(1)


@fn
def affinity_32() -> u32:
    """MPIDR_EL1's affinities as GICR_TYPER has them: 3.2.1.0."""
    number = cpu.affinity()
    return trunc(number >> 32 & 0xFF, u32) << 24 | trunc(number & 0xFF_FFFF, u32)


@fn
def distributor() -> Ptr[Distributor]:
    """Its registers."""
    return pointer_at(distributor_base, Distributor)


@fn
def redistributor() -> Ptr[Redistributor]:
    """This CPU's registers."""
    return pointer_at(cpu_base, Redistributor)


@fn
def enable(number: u32) -> None:
    """Lets an interrupt through to this CPU."""
    assert number < SPURIOUS, "the interrupt is none of the GIC's"
    word = usize(number // 32)
    bit = u32(1) << number % 32
    if version == ControllerKind.GIC_V3 and number < FIRST_SHARED:
        redistributor().ipriorityr[usize(number)].write(PRIORITY)
        redistributor().isenabler0.write(bit)
        return
    here = distributor()
    here.ipriorityr[usize(number)].write(PRIORITY)
    if version == ControllerKind.GIC_V3:
        here.igroupr[word].write(here.igroupr[word].read() | bit)
        here.irouter[usize(number)].write(cpu.affinity() & _AFFINITY)
    elif number >= FIRST_SHARED:
        # The targets of a CPU's own interrupts say which bit this CPU is (IHI 0048 4.3.12).
        here.itargetsr[usize(number)].write(here.itargetsr[0].read())
    here.isenabler[word].write(bit)


@fn
def disable(number: u32) -> None:
    """Keeps an interrupt from this CPU."""
    assert number < SPURIOUS, "the interrupt is none of the GIC's"
    bit = u32(1) << number % 32
    if version == ControllerKind.GIC_V3 and number < FIRST_SHARED:
        redistributor().icenabler0.write(bit)
    else:
        distributor().icenabler[usize(number // 32)].write(bit)


@fn
def take() -> u32:
    """The pending interrupt."""
    if version == ControllerKind.GIC_V3:
        return trunc(acknowledge(), u32)
    return pointer_at(cpu_base, CpuInterface).iar.read()


@fn
def finish(number: u32) -> None:
    """Ends what `take` gave."""
    if version == ControllerKind.GIC_V3:
        end(u64(number))
    else:
        pointer_at(cpu_base, CpuInterface).eoir.write(number)


@fn
def dispatch() -> None:
    """Serves what is pending."""
    global served
    for _ in range(MOST_AT_ONCE):
        taken = take()
        number = taken & 0x3FF
        if number >= SPURIOUS:
            return
        if number == timer_interrupt:
            if running_users:
                _ = system_calls.timer()
            else:
                clock.interrupt()
        else:
            served += 1
            if number == console.interrupt and console_connected:
                console.receive()
            else:
                arrived(u64(number))
        finish(taken)


@fn
def connect_console(info: Ptr[BootInfo]) -> None:
    """Typed bytes come by interrupt from now on, where the console and the controller can."""
    global console_connected
    if info.console == ConsoleKind.PL011 and info.controller != ControllerKind.NONE and info.console_interrupt != 0:
        enable(info.console_interrupt)
        console.enable_interrupt()
        console_connected = True


@fn
def serve_users() -> None:
    """The timer is the microkernel's from now on, and the console's interrupt a driver's."""
    global running_users, console_connected
    if console_connected:
        disable(console.interrupt)
        console_connected = False
    running_users = True
