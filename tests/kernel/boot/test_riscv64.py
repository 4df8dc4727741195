"""riscv64: QEMU's virt machine, by `-kernel` on OpenSBI."""

from kernel import image

from .machine import Machine

QEMU = "qemu-system-riscv64 -M virt -display none -monitor none -nodefaults -serial stdio -no-reboot".split()


def test_kernel_on_opensbi_prints_its_banner_and_ends_the_machine():
    with Machine([*QEMU, "-kernel", str(image.build("riscv64").path)]) as machine:
        machine.expect("\nSplax\n")
        assert "Linux Image, hart 0, image at 0x80200000" in machine.expect("\n")
        assert machine.wait() == 0
