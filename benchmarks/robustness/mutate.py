"""Damaged and hostile versions of a valid input: of its bytes, and of the values in it."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from copy import deepcopy
from typing import Any

TOKENS = [
    *(b"\x00", b"\xff\xfe", b"{", b"]", b"&a [*a]", b"!!python/object:os.system", b"1e999", b"-1", b"NaN", b"9" * 5000),
    *(
        b"../../../etc/passwd",
        b"\x1b[2J",
        "\u202e".encode(),
        b"'",
        b'"',
        b"\n",
        b": ",
        b"- ",
        b"PK\x03\x04",
        b"\x80\x02",
    ),
]
VALUES: list[Any] = [
    *(None, True, -1, 0, 10**30, 1e308, float("nan"), float("inf"), -0.0),
    *("", "x" * 5000, "\x1b[2J\u202e", "../..", "/etc/passwd", "file:///home/anna/x.png", "=1+1", "nan"),
    *([], {}, [[]], {"": {}}, ["a"] * 2000, {"a": 1, "b": [2]}),
]


def of_bytes(data: bytes, rng: random.Random) -> bytes:
    """Return ``data`` with one to four of: a flipped bit, a cut end, a lost, repeated, zeroed or foreign piece."""
    for _ in range(rng.randint(1, 4)):
        place = rng.randrange(len(data) + 1)
        end = min(len(data), place + rng.choice((1, 4, 64, 1024)))
        kind = rng.randrange(6)
        if kind == 0 and place < len(data):
            data = data[:place] + bytes([data[place] ^ 1 << rng.randrange(8)]) + data[place + 1 :]
        elif kind == 1:
            data = data[:place]
        elif kind == 2:
            data = data[:place] + data[end:]
        elif kind == 3:
            data = data[:end] + data[place:]
        elif kind == 4:
            data = data[:place] + bytes(end - place) + data[end:]
        else:
            data = data[:place] + rng.choice(TOKENS) + data[place:]
    return data


def of_value(value: Any, rng: random.Random) -> Any:
    """Return a copy of ``value`` (JSON data) with one to three of its parts replaced, removed, renamed or repeated."""
    copied = json.loads(json.dumps(value))
    for _ in range(rng.randint(1, 3)):
        places = list(_places(copied))
        if not places:
            return deepcopy(rng.choice(VALUES))
        holder, key = rng.choice(places)
        kind = rng.randrange(4)
        if kind < 2:
            holder[key] = deepcopy(rng.choice(VALUES))
        elif kind == 2:
            del holder[key]
        elif isinstance(holder, dict):
            holder[rng.choice(("", "x" * 300, "\x1b[2J", f"{key}s"))] = holder[key]
        else:
            holder += holder[:500]
    return copied


def _places(value: Any) -> Any:
    """Yield each container below ``value`` with each of its keys."""
    keys = value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in list(keys):
        yield value, key
        yield from _places(value[key])


def of_text(data: bytes, rng: random.Random, parse: Callable[[bytes], Any], write: Callable[[Any], str]) -> bytes:
    """Return ``data`` with other bytes or, as often, with other values that are written as ``write`` does."""
    if rng.random() < 0.5:
        return of_bytes(data, rng)
    return write(of_value(parse(data), rng)).encode("utf-8", errors="surrogatepass")
