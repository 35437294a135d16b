"""Template filters that format numbers and texts for readers."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from sfda_kit.leaderboard.variants import spell_setting
from sfda_kit.results.redaction import without_folders

NONE = "\N{EN DASH}"
"""The text for a missing value."""
LARGE = 1e9
"""Numbers of at least this size are written with an exponent."""
_MINUS = "\N{MINUS SIGN}"


def number(value: float | None, digits: int = 1) -> str:
    """Return text such as ``91.8``, and a dash for None and for values that are not finite."""
    if value is None or not math.isfinite(value):
        return NONE
    text = f"{value:.{digits}f}" if abs(value) < LARGE else f"{value:.2g}"
    return text.replace("-", _MINUS) if float(text) else text.lstrip("-")


def signed(value: float | None, digits: int = 1) -> str:
    """Return text such as ``+3.2`` or ``−3.2``."""
    text = number(value, digits)
    return text if text[0] in (NONE, _MINUS) else f"+{text}"


def bound(value: float) -> str:
    """Return an end of an interval such as ``+3.2``; one just below 0 keeps its sign, ``−0.0``."""
    return f"{value:+.1f}".replace("-", _MINUS)


def seconds(value: float | None) -> str:
    """Return text such as ``42 s``, ``3.5 min`` or ``1.2 h``."""
    if value is None or not math.isfinite(value):
        return NONE
    return _scaled(value, ((3600, "h"), (60, "min"), (1, "s")))


def mebibytes(value: float | None) -> str:
    """Return a number of MiB as text, such as ``1.6 GiB`` for 1682."""
    if value is None or not math.isfinite(value):
        return NONE
    return _scaled(value, ((1024, "GiB"), (1, "MiB")))


def count(value: float | None) -> str:
    """Return text such as ``5.1 M`` for 5,138,955; numbers below 10,000 are written in full."""
    if value is None or not math.isfinite(value):
        return NONE
    return f"{value:,.0f}" if value < 10_000 else _scaled(value, ((1e9, "G"), (1e6, "M"), (1e3, "k")))


def _scaled(value: float, units: tuple[tuple[float, str], ...]) -> str:
    size, unit = next((pair for pair in units if value >= pair[0]), units[-1])
    scaled = value / size
    return f"{number(scaled, 0 if scaled >= 100 or size == 1 else 1)}\N{NO-BREAK SPACE}{unit}"


def probability(value: float | None) -> str:
    """Return a p-value with three decimals, ``< 0.001`` for smaller ones."""
    if value is None or not math.isfinite(value):
        return NONE
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def web_link(text: str) -> str:
    """Return ``text`` where it is an http or https address, else an empty text, which becomes no link."""
    try:
        parts = urlsplit(text)
    except ValueError:
        return ""
    return text if parts.scheme in ("http", "https") and parts.netloc else ""


def plain(value: Any) -> str:
    """Return any value of a record as one line, without the empty values inside it."""
    if _empty(value):
        return NONE
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {plain(entry)}" for key, entry in value.items() if not _empty(entry)) or NONE
    if isinstance(value, (list, tuple)):
        return ", ".join(plain(entry) for entry in value)
    return str(value)


def _empty(value: Any) -> bool:
    return value is None or value in ("", [], {}, ())


def arrow(text: str) -> str:
    """Return ``text`` with the ``->`` of a task's name as an arrow sign."""
    return text.replace(" -> ", " \N{RIGHTWARDS ARROW} ")


def measure(text: str) -> str:
    """Return the name of a metric as part of a sentence: ``accuracy (held out)``, ``AUROC, held out``."""
    return text if text.startswith("AUROC") else f"accuracy ({text})"


def capital(text: str) -> str:
    """Return ``text`` with its first letter as a capital; the others stay."""
    return text[:1].upper() + text[1:]


FILTERS: dict[str, Callable[..., Any]] = {
    "number": number,
    "bound": bound,
    "setting": spell_setting,
    "signed": signed,
    "seconds": seconds,
    "mebibytes": mebibytes,
    "count": count,
    "probability": probability,
    "web_link": web_link,
    "without_folders": without_folders,
    "plain": plain,
    "arrow": arrow,
    "measure": measure,
    "capital": capital,
}
