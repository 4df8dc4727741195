"""Control and status registers: the table of all of them, the register file, the counters, the interrupt choice."""

from .file import CsrFile
from .table import Csr, Field, csr_table, csr_values_layout, reference

__all__ = ["Csr", "CsrFile", "Field", "csr_table", "csr_values_layout", "reference"]
