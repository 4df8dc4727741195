"""What every service does besides its work: registers with S-ATLAS, and tells it each second that it is alive."""

from kernel.abi import Error, Rights
from kernel.lang import *
from kernel.services.atlas.registry import HEARTBEAT, AtlasError
from kernel.services.description import ATLAS_SLOT
from kernel.services.names import Name
from kernel.services.protocol import AtlasCall
from kernel.user import calls
from kernel.user.first_table import FIRST_LIFE
from kernel.user.message import Message

ATLAS = FIRST_LIFE | ATLAS_SLOT
PATIENCE = 20_000_000  # ticks that a service waits for S-ATLAS before it goes on with its work

last_beat = variable(u64, 0)


@fn
def ask(operation: AtlasCall, name: Ptr[Name], capability: u64) -> AtlasError:
    """A request with a name."""
    message = Message()
    message.words[0] = u64(operation)
    for i in range(3):
        message.words[1 + i] = name.words[i]
    if capability != 0:
        message.capability = capability
        message.option = calls.grant_option(Rights.WRITE | Rights.GRANT, False)
    if calls.call_within(ATLAS, ptr(message), PATIENCE) != Error.NONE or message.words[0] >= len(AtlasError):
        return AtlasError.SERVICE_UNHEALTHY
    return AtlasError(trunc(message.words[0], u8))


@fn
def register(name: Ptr[Name], capability: u64) -> AtlasError:
    """Registers; `capability` (0: none) is what clients get. A crashed S-ATLAS forgets: `beat` registers again."""
    global last_beat
    last_beat = calls.clock()
    return ask(AtlasCall.REGISTER, name, capability)


@fn
def is_forgotten(name: Ptr[Name]) -> bool:
    """A heartbeat, when it is time for one; whether S-ATLAS does not know this service (any more)."""
    global last_beat
    now = calls.clock()
    if now - last_beat < HEARTBEAT // 2:
        return False
    last_beat = now
    return ask(AtlasCall.HEARTBEAT, name, 0) == AtlasError.SERVICE_NOT_FOUND


@fn
def beat(name: Ptr[Name], capability: u64) -> None:
    """A heartbeat, when it is time for one; registers again where S-ATLAS has forgotten."""
    if is_forgotten(name):
        _ = register(name, capability)


BEAT_WAIT = HEARTBEAT // 2
"""How long a service may wait for requests before it must beat."""
