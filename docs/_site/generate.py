"""Writes what the pages do not type: figures, tables of declared parts, references. ``make docs-pages`` calls it.

The text between two marks of a page is made by a function of one of ``MODULES``::

    TGKT reaches <!-- generated: accuracy rooms depth@kv1 tgkt -->88.0 ± 0.8<!-- end --> %.

``--check`` changes nothing, and fails where a page says something else than the results and the code.
"""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

import declared
import measured
import real_sets
import reference

ROOT = Path(__file__).parents[2]
PATTERNS = ("README.md", "docs/**/*.md", "plugins/*/README.md", "benchmarks/README.md")
MODULES = (measured, real_sets, declared, reference)
MARKED = re.compile(r"(<!-- generated: (.+?) -->)(.*?)(<!-- end -->)", re.DOTALL)


def pages() -> list[Path]:
    """Return all pages in which text may be generated."""
    return sorted(page for pattern in PATTERNS for page in ROOT.glob(pattern) if "board-repository" not in page.parts)


def rewritten(text: str) -> str:
    """Return a page with the text between its marks made anew."""
    return MARKED.sub(lambda found: found[1] + _made(found[2]) + found[4], text)


def _made(call: str) -> str:
    name, *words = shlex.split(call)
    function = next(vars(module)[name] for module in MODULES if name in vars(module))
    text = function(*words).rstrip("\n")
    return f"\n\n{text}\n\n" if "\n" in text else text


def main() -> None:
    """Rewrite all pages, or with ``--check`` name those that are out of date and fail."""
    stale = [page for page in pages() if rewritten(page.read_text()) != page.read_text()]
    if "--check" in sys.argv:
        sys.exit(
            f"Out of date, run make docs-pages: {', '.join(str(p.relative_to(ROOT)) for p in stale)}" if stale else 0
        )
    for page in stale:
        page.write_text(rewritten(page.read_text()))
        print(page.relative_to(ROOT))


if __name__ == "__main__":
    main()
