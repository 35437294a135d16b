"""Matplotlib figures as SVG that works in a page with a strict Content-Security-Policy.

The output of matplotlib is changed in three ways: ``style`` attributes become presentation attributes (a policy
without ``unsafe-inline`` drops ``style``), unused ids are removed and the others are made unique in the page, and the
colours of ``INKS`` become ``currentColor`` of a class, so that the page's style sheet can set light and dark colours.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from xml.etree import ElementTree

import matplotlib as mpl
from matplotlib.figure import Figure

SERIES = tuple(f"#0000{number:02x}" for number in range(1, 9))
"""Colours of series in a figure; the page shows them as ``.ink-1`` to ``.ink-8`` of its style sheet."""
TEXT, FAINT, PAPER = "#000022", "#000020", "#000021"
"""Colours of text and axes, of grid lines, and of the background; matplotlib would not write black itself."""
DASHES: Sequence[str | tuple[int, tuple[float, ...]]] = ("-", "--", ":", "-.", (0, (5, 1)), (0, (1, 1)))
MARKERS = "osD^vPXd"
"""Shapes of points, which distinguish series without colour."""

INKS = {colour: f"ink-{number}" for number, colour in enumerate(SERIES, start=1)} | {
    TEXT: "ink-text",
    FAINT: "ink-faint",
    PAPER: "ink-paper",
}
_STYLE: Any = {
    "svg.fonttype": "none",
    "text.parse_math": False,  # A dollar sign in a name begins no mathematics.
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": TEXT,
    "axes.labelcolor": TEXT,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": FAINT,
    "text.color": TEXT,
    "xtick.color": TEXT,
    "ytick.color": TEXT,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "legend.frameon": False,
}
_NAMESPACE = re.compile(r"\{[^}]*\}")
_REFERENCE = re.compile(r"#([\w-]+)")
_FONT = re.compile(r"([\d.]+)px")


@contextmanager
def drawing() -> Iterator[None]:
    """Apply the settings for figures of a page; the user's own matplotlibrc has no effect."""
    with mpl.rc_context(), warnings.catch_warnings():
        mpl.rcdefaults()
        mpl.rcParams.update(_STYLE)
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")  # The browser has other fonts.
        yield


def markup(figure: Figure, key: str, title: str) -> str:
    """Return ``figure`` as one ``<svg>`` element with ``title`` as its text alternative.
    ``key`` must be unique on the page; the same figure and key always give the same text."""
    buffer = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": key}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    root = ElementTree.fromstring(buffer.getvalue())
    _inline(root, key)
    return _titled(root, key, title)


def _inline(root: ElementTree.Element, key: str) -> None:
    """Change ``root`` in place as the module's docstring describes."""
    for parent in root.iter():
        for child in list(parent):
            if _NAMESPACE.sub("", child.tag) in ("style", "metadata"):
                parent.remove(child)
    used = {name for element in root.iter() for value in element.attrib.values() for name in _REFERENCE.findall(value)}
    for element in root.iter():
        element.tag = _NAMESPACE.sub("", element.tag)
        element.attrib = _attributes(element.attrib, key, used)


def _attributes(old: dict[str, str], key: str, used: set[str]) -> dict[str, str]:
    new: dict[str, str] = {}
    for name, value in {_NAMESPACE.sub("", name): value for name, value in old.items()}.items():
        if name == "style":
            new |= _presentation(value)
        elif name == "id":
            new |= {"id": f"{key}-{value}"} if value in used else {}
        else:
            new[name] = value
    for name in ("href", "clip-path"):
        if name in new:
            new[name] = _REFERENCE.sub(rf"#{key}-\1", new[name])
    return new | _inked(new)


def _presentation(style: str) -> dict[str, str]:
    """Return CSS declarations as attributes; of the font shorthand, which has no attribute, only the size is kept."""
    declared = dict(part.split(":", 1) for part in style.split(";") if ":" in part)
    attributes = {name.strip(): value.strip() for name, value in declared.items()}
    if size := _FONT.search(attributes.pop("font", "")):
        attributes["font-size"] = size[1]
    return attributes


def _inked(attributes: dict[str, str]) -> dict[str, str]:
    """Return ``currentColor`` and the class that sets it, where a colour of ``INKS`` is used."""
    names = [name for name in ("fill", "stroke") if attributes.get(name) in INKS]
    if not names:
        return {}
    found = dict.fromkeys(names, "currentColor") | {"class": INKS[attributes[names[-1]]]}
    if attributes.get("fill") == PAPER != attributes.get("stroke"):  # An element has only one currentColor.
        found |= {"fill": "none", "class": f"{found['class']} hollow"}
    return found


def _titled(root: ElementTree.Element, key: str, title: str) -> str:
    width, height = (float(part) for part in root.attrib["viewBox"].split()[2:])
    root.attrib = {
        "viewBox": root.attrib["viewBox"],
        "width": f"{width:.0f}",
        "height": f"{height:.0f}",
        "role": "img",
        "aria-labelledby": f"{key}-title",
        "stroke-linejoin": "round",
    }
    first = ElementTree.Element("title", {"id": f"{key}-title"})
    first.text = title
    root.insert(0, first)
    return ElementTree.tostring(root, encoding="unicode")
