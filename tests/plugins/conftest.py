"""Small distributions, put on the path as pip would."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sfda_kit.plugins.discovery import installation

Installer = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Installer]:
    """Put a one-file plugin with its metadata on the path, as pip would."""
    monkeypatch.syspath_prepend(str(tmp_path))
    names = []

    def put(name: str, code: str, requires: str = "") -> None:
        (tmp_path / f"{name}.py").write_text(code)
        info = tmp_path / f"{name}-1.2.dist-info"
        info.mkdir()
        told = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n"
        told += f"Requires-Dist: {requires}\n" if requires else ""
        (info / "METADATA").write_text(told)
        (info / "entry_points.txt").write_text(f"[sfda_kit]\n{name} = {name}\n")
        names.append(name)
        installation.cache_clear()

    yield put
    installation.cache_clear()
    for name in names:
        sys.modules.pop(name, None)


def registering(name: str, target: str = "sfda_kit.builtin.aligners:InfoMax", kind: str = "aligner") -> str:
    """The text of a module that declares one part."""
    return (
        f"import sfda_kit\n@sfda_kit.hookimpl\ndef sfda_kit_register_{kind}():\n"
        f"    return [sfda_kit.Component({name!r}, {target!r}, 'a part')]\n"
    )
