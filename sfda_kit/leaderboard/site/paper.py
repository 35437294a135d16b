"""The paper of a method: title, authors and BibTeX entry, where the package of the method ships them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sfda_kit.plugins.component import Component


@dataclass(frozen=True)
class Paper:
    """A paper has an ``address``, or a citation in its place; the other fields are empty where they are not known."""

    address: str = ""
    title: str = ""
    authors: str = ""
    bibtex: str = ""


def paper_of(part: Component) -> Paper:
    """Return the paper of ``part``; its entry in the package's ``references.bib`` is the one with this ``url``."""
    file = files(part.target.partition(".")[0]) / "references.bib"
    if not part.paper or not file.is_file():
        return Paper(part.paper)
    entries = re.findall(r"^@\w+\{.*?^\}", file.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    return paper_in(next((entry for entry in entries if _field("url", entry) == part.paper), ""), part.paper)


def paper_in(entry: str, address: str) -> Paper:
    """Return the paper that a BibTeX entry describes."""
    names = [" ".join(reversed(name.split(", ", 1))) for name in _field("author", entry).split(" and ") if name]
    return Paper(address, _field("title", entry), ", ".join(names), entry)


def _field(name: str, entry: str) -> str:
    found = re.search(rf"^\s*{name}\s*=\s*\{{(.*)\}},?$", entry, re.MULTILINE)
    return found[1].replace("{", "").replace("}", "") if found else ""
