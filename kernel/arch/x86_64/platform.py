"""What ACPI said, for the drivers that depend on it."""

from kernel.arch.x86_64.acpi import Platform
from kernel.lang import variable

platform = variable(Platform)
