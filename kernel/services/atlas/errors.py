"""What S-ATLAS' answers mean, for people."""

from kernel.lang import *
from kernel.services.atlas.registry import AtlasError
from kernel.user.text import put

ATLAS_ERRORS = constant(
    Array[Str, len(AtlasError)],
    [
        "done",
        "it runs already",
        "there is no such service",
        "the registry is full",
        "the capability is not valid",
        "that is not permitted",
        "the service is not healthy",
        "it was restarted too often",
        "that is not a name",
        "it does not run",
        "nobody could start it again: the shell stands on it; `svc restart` does both",
    ],
)


@fn
def put_atlas_error(error: AtlasError) -> None:
    """A line."""
    put(ATLAS_ERRORS[usize(u8(error))])
    put("\n")
