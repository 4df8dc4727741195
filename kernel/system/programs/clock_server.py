"""The other side of ipcbench: answers calls with the cycle counts at which they came and went."""

from kernel.lang import *
from kernel.system import bench

ENDPOINT_SLOT = 1
ENDPOINT = 1 << 32 | ENDPOINT_SLOT  # its first life


@fn
def main(argument: u64) -> u64:
    """Serves until the endpoint ends."""
    _ = argument
    return bench.serve_moments(ENDPOINT)
