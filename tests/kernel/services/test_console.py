"""The console's buffer and its clients: what was asked for twice is given twice and printed once."""

import random

from kernel.services import console
from kernel.services.description import MAX_SERVICES
from kernel.services.protocol import READ_BYTES
from kernel.services.run import SESSION_BADGE
from kernel.user.message import Message


def read(sequence: int) -> bytes:
    """What READ with this number gives."""
    message = Message()
    message.words[1] = sequence
    console.read(message)
    count = message.words[0]
    assert count <= READ_BYTES
    return b"".join(message.words[1 + i].to_bytes(8, "little") for i in range(7))[:count]


def type_in(data: bytes) -> None:
    for byte in data:
        console.keep(byte)


def test_what_was_read_without_an_answer_is_given_again_and_nothing_is_lost():
    """Who asks gives up at random, and asks again with the same number, as the shell does."""
    rng = random.Random(random.randrange(2**32))
    typed, got, sequence = b"", b"", 100
    for _ in range(400):
        data = rng.randbytes(rng.randrange(90))
        type_in(data)
        typed += data
        answer = read(sequence)
        while rng.random() < 0.4:  # the answer had come too late
            answer = read(sequence)
        got += answer
        sequence += 1
        while console.used.value > console.RING - 90:
            got += read(sequence)
            sequence += 1
    while console.used.value:
        got += read(sequence)
        sequence += 1
    assert got == typed and read(sequence) == b""
    type_in(b"abc")
    assert read(0) == b"abc" and read(0) == b"", "who says no number gets each byte once"


def test_a_text_that_is_sent_again_is_known_by_its_number_whatever_others_send_meanwhile():
    services, programs = range(1, MAX_SERVICES + 1), [SESSION_BADGE] * console.OTHERS
    sent = [(badge, 1000 + i) for i, badge in enumerate([*services, *programs])]
    assert not any(console.is_repeated(badge, number) for badge, number in sent)
    assert all(console.is_repeated(badge, number) for badge, number in sent)
    assert not any(console.is_repeated(badge, number + 5000) for badge, number in sent)
    assert not console.is_repeated(SESSION_BADGE, sent[-1][1]), "so long ago"
    for badge in (1, SESSION_BADGE):
        assert not console.is_repeated(badge, 0) and not console.is_repeated(badge, 0)
