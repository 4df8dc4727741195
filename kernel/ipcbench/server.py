"""The other side of ipcbench: answers calls with the cycle counts at which they came and went."""

from kernel.ipcbench import measure
from kernel.lang import *
from kernel.user.first_table import FIRST_LIFE

ENDPOINT_SLOT = 1
ENDPOINT = FIRST_LIFE | ENDPOINT_SLOT


@fn
def main(argument: u64) -> u64:
    """Serves until the endpoint ends."""
    _ = argument
    return measure.serve_moments(ENDPOINT)
