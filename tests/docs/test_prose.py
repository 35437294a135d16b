"""The spelling, the words and the length of sentences of pages, docstrings and messages."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

pytest.importorskip("codespell_lib", reason="needs codespell (pip install sfda-kit[dev])")

ROOT = Path(__file__).parents[2]
WORDS = ROOT / "docs" / "_site" / "words.txt"
NAMES = "bu,refridgerator,reencode"
"""Part of an address, a class of NYU Depth V2 as its file spells it, and a function."""

LONGEST = 40
"""The words of the longest sentence on a page."""

PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *ROOT.glob("docs/**/*.md"),
        *ROOT.glob("plugins/*/README.md"),
        ROOT / "benchmarks" / "README.md",
    ]
)
TABLES = {"deviations.md", "CHANGELOG.md"}


def test_words_are_spelt_as_in_a_dictionary_and_are_those_of_the_project():
    command = [
        sys.executable,
        "-m",
        "codespell_lib",
        "-D",
        "-",
        "-D",
        str(WORDS),
        "-L",
        NAMES,
        "--skip",
        "*.js,*.png,*.bib,words.txt",
    ]
    checked = [*map(str, PAGES), "sfda_kit", *map(str, ROOT.glob("plugins/*/src")), "docs/_site"]
    found = subprocess.run([*command, *checked], cwd=ROOT, capture_output=True, text=True, check=False)
    assert found.stdout + found.stderr == ""


def test_the_word_list_is_used(tmp_path: Path):
    page = tmp_path / "page.md"
    page.write_text("We leverage it.\n")
    command = [sys.executable, "-m", "codespell_lib", "-D", "-", "-D", str(WORDS), str(page)]
    assert "leverage ==> use" in subprocess.run(command, capture_output=True, text=True, check=False).stdout


def sentences(text: str) -> Iterator[str]:
    """The sentences of the paragraphs and list items of a page, without code, tables and generated text."""
    text = re.sub(r"<!-- generated: .*?<!-- end -->", "0", text, flags=re.DOTALL)
    text = re.sub(r"^ *```.*?^ *```$", "\n\n", text, flags=re.DOTALL | re.MULTILINE)
    for paragraph in re.split(r"\n\s*\n|\n(?=\s*(?:[*-]|\d+\.) |#|\||:::)", text):
        if not paragraph.lstrip().startswith(("|", "#", ":::", "<")):
            plain = " ".join(re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", paragraph).split())
            yield from re.split(r"(?<=[.!?:;])\s+", plain)


@pytest.mark.parametrize(
    "page", [page for page in PAGES if page.name not in TABLES], ids=lambda page: str(page.relative_to(ROOT))
)
def test_no_sentence_is_too_long_to_be_read_once(page: Path):
    assert [one for one in sentences(page.read_text()) if len(one.split()) > LONGEST] == []


def test_no_mark_begins_a_line_of_a_paragraph():
    """GitHub would take the line for HTML and show its Markdown as it is written."""
    for page in PAGES:
        lines = page.read_text().splitlines()
        for before, line in pairwise(lines):
            inside = (
                line.lstrip().startswith("<!-- generated: ")
                and line.rstrip() != line.lstrip().partition("-->")[0] + "-->"
            )
            assert not (inside and before.strip() and not before.startswith("#")), f"{page.name}: {line}"
