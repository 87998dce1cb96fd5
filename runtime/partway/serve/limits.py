"""How much a client may ask for; all of it is checked before anything runs, and bytes before they are read."""

from dataclasses import dataclass

SOURCE_PIXELS = 32_000_000
"""Pixels of a picture that is decoded. Larger ones are refused by their header."""

BODY = 64 * 2**20
"""Bytes of a request with pictures in it."""

SMALL_BODY = 2**20
"""Bytes of any other."""

AT_ONCE = 4 * BODY
"""Bytes of all requests that are being answered."""

PARTS = 64
"""Parts of a form."""


@dataclass(frozen=True)
class Limits:
    """Those that whoever starts the server may set.

    waiting   requests that may wait while one runs
    pixels    of a picture that is worked on; larger sources are made smaller
    pictures  for one request
    steps     of the whole schedule
    deadline  seconds that one run may take, None for no limit
    """

    waiting: int = 8
    pixels: int = 1024 * 1024
    pictures: int = 10
    steps: int = 150
    deadline: float | None = None
