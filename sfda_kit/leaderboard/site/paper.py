"""The paper of a method: title, authors and BibTeX entry, where the package of the method ships them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sfda_kit.results.citations import part_entry

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
    """Return the paper of ``part``, with what its package tells of it in ``references.bib``."""
    return paper_in(part_entry(part), part.paper)


def paper_in(entry: str, address: str) -> Paper:
    """Return the paper that a BibTeX entry describes."""
    names = [" ".join(reversed(name.split(", ", 1))) for name in _field("author", entry).split(" and ") if name]
    return Paper(address, _field("title", entry), ", ".join(names), entry)


def _field(name: str, entry: str) -> str:
    found = re.search(rf"^\s*{name}\s*=\s*\{{(.*)\}},?$", entry, re.MULTILINE)
    return found[1].replace("{", "").replace("}", "") if found else ""
