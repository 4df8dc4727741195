"""The other side of ipcbench: answers calls with the cycle counts at which they came and went."""

from kernel.lang import *
from kernel.system import bench

ENDPOINT = 1 << 32 | 1  # the first life of slot 1


@fn
def main(argument: u64) -> u64:
    """Serves until the endpoint ends."""
    _ = argument
    return bench.serve_moments(ENDPOINT)
