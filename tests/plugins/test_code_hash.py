"""The hash of a part's code changes with what it computes, and with nothing else."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest

from sfda_kit import Component
from sfda_kit.plugins import code_hash as hashing
from sfda_kit.plugins.discovery import registry

FILES = {
    "__init__.py": "",
    "term.py": 'from PACKAGE.losses import size\n\n\ndef term(x):\n    """Return it."""\n    return size(x)\n',
    "losses.py": "from .deeper import scale\n\n\ndef size(x):\n    return scale * x\n",
    "deeper.py": "scale = 2\n",
    "other.py": "unused = 1\n",
}


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package with a name of its own, because Python remembers where it has found a package."""
    folder = tmp_path / f"stranger_{uuid4().hex}"
    folder.mkdir()
    for name, text in FILES.items():
        (folder / name).write_text(text.replace("PACKAGE", folder.name))
    monkeypatch.syspath_prepend(tmp_path)
    return folder


def found(package: Path) -> str:
    hashing._hash_of.cache_clear()
    return hashing.code_hash(Component("term", f"{package.name}.term:term", "a term"))


@pytest.mark.parametrize("name", ["term.py", "losses.py", "deeper.py"])
def test_an_edit_of_the_part_or_of_what_it_imports_changes_the_hash(package: Path, name: str) -> None:
    before = found(package)
    file = package / name
    file.write_text(file.read_text() + "changed = 3\n")
    assert found(package) != before


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("other.py", "unused = 2\n"),
        ("term.py", FILES["term.py"].replace("Return it.", "Return another text.")),
        ("term.py", "# a comment\n" + FILES["term.py"].replace("    return", "\n    return")),
    ],
    ids=["another module", "a docstring", "comments and lines"],
)
def test_what_computes_nothing_for_the_part_does_not_count(package: Path, name: str, text: str) -> None:
    before = found(package)
    (package / name).write_text(text.replace("PACKAGE", package.name))
    assert found(package) == before


def test_every_installed_part_has_a_hash() -> None:
    parts = list(registry().components.values())
    hashes = {hashing.code_hash(part) for part in parts}
    assert len(parts) > 30 and all(len(one) == 16 for one in hashes) and len(hashes) > 20
