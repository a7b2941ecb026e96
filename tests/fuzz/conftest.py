"""What a fuzz checks of each input: a right answer or one clear line, and soon."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from ase_physml.errors import PhysMLError

# Of a processor, for one input.
SECONDS = 10.0

Check = Callable[[Callable[[], Any]], Any]


@pytest.fixture
def check() -> Check:
    """Calls, and returns the answer or the error, which must be ours and one line."""

    def call(work: Callable[[], Any]) -> Any:
        start = time.process_time()
        try:
            found = work()
        except PhysMLError as error:
            found = error
        assert time.process_time() - start < SECONDS
        for one in found if isinstance(found, list) else [found]:
            if isinstance(one, Exception):
                assert isinstance(one, PhysMLError)
                text = str(one)
                assert text.strip()
                assert "\n" not in text
                assert len(text) < 2000
        return found

    return call


@pytest.fixture
def mutate() -> Callable[[bytes, np.random.Generator], bytes]:
    """Damages content."""
    return _mutated


def _mutated(content: bytes, random: np.random.Generator) -> bytes:
    """With bytes changed, lines lost, doubled or exchanged, or an end cut off."""
    kind = int(random.integers(7))
    if kind == 0:
        return content[: int(random.integers(len(content)))]
    if kind == 1:
        changed = bytearray(content)
        for place in random.integers(len(changed), size=int(random.integers(1, 9))):
            changed[place] = int(random.integers(256))
        return bytes(changed)
    lines = content.split(b"\n")
    place = int(random.integers(len(lines)))
    if kind == 2:
        del lines[place]
    elif kind == 3:
        lines.insert(place, lines[int(random.integers(len(lines)))])
    elif kind == 4:
        lines.insert(place, b"")
    elif kind == 5:
        words = lines[place].split(b" ")
        odd = (b"1e400", b"nan", b"-1", b"999999999", b"\xff\xfe", b"0x1", b'"', b"{")
        words[int(random.integers(len(words)))] = odd[int(random.integers(len(odd)))]
        lines[place] = b" ".join(words)
    else:
        random.shuffle(lines)
    return b"\n".join(lines)
