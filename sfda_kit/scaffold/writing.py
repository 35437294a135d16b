"""The files of a new plugin, rendered from templates and written as one folder."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from packaging.version import Version

from sfda_kit import __version__
from sfda_kit.errors import UserError
from sfda_kit.files import write_whole
from sfda_kit.plugins.interface_version import INTERFACE_VERSION
from sfda_kit.scaffold.code import code
from sfda_kit.scaffold.kinds import PART_KINDS
from sfda_kit.scaffold.new_plugin import NewPlugin
from sfda_kit.scaffold.sample_weights import ARCHITECTURE, sample_weights

FILES = ("pyproject.toml", "README.md", "LICENSE", ".gitignore", ".github/workflows/ci.yml")
"""Files whose template is called as they are, without the folder and the leading dot."""


def write_plugin(plugin: NewPlugin, out: Path) -> int:
    """Write ``plugin`` to the new folder ``out`` and return the number of files.

    Raises ``UserError`` where ``out`` exists or cannot be written; then nothing is left behind.
    """
    if out.exists() or out.is_symlink():
        raise UserError(f"{out} exists already. Nothing was written; name a new folder with --out.")
    files = {name: text.encode() for name, text in rendered(plugin)} | dict(samples(plugin))

    def write(folder: Path) -> int:
        for name, content in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return len(files)

    return write_whole(out, write)


def rendered(plugin: NewPlugin) -> Iterator[tuple[str, str]]:
    """Yield path and text of each file of ``plugin``."""
    templates = _templates(plugin)
    for file in FILES:
        yield file, templates.get_template(f"{Path(file).name.lstrip('.')}.jinja").render()
    source = f"src/{plugin.package}"
    yield f"{source}/__init__.py", templates.get_template("declarations.py.jinja").render()
    yield f"{source}/py.typed", ""
    for part in plugin.parts:
        about = {"part": part, "kind": PART_KINDS[part.kind]}
        test = templates.select_template([f"tests/{part.kind}.py.jinja", "tests/part.py.jinja"])
        yield f"{source}/{part.module}.py", templates.get_template(f"parts/{part.kind}.py.jinja").render(about)
        yield f"tests/test_{part.module}.py", test.render(about)


def samples(plugin: NewPlugin) -> Iterator[tuple[str, bytes]]:
    """Yield path and content of the files of ``plugin`` that are no text: the tensors of its weights."""
    for part in plugin.of_kind("weights"):
        yield f"src/{plugin.package}/{part.module}.safetensors", sample_weights()


def _templates(plugin: NewPlugin) -> Environment:
    made = Environment(
        loader=PackageLoader("sfda_kit.scaffold"),
        autoescape=False,  # what is written is code and text, and every name in it was checked
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["code"] = code
    made.globals |= {
        "plugin": plugin,
        "kinds": PART_KINDS,
        "author": json.dumps(plugin.author, ensure_ascii=False),  # a string of JSON is one of TOML
        "year": date.today().year,
        "interface": INTERFACE_VERSION,
        "requirement": requirement(),
        "architecture": ARCHITECTURE,
        "sample_hash": lambda: hashlib.sha256(sample_weights()).hexdigest(),
    }
    return made


def requirement() -> str:
    """Return the versions of sfda-kit that a new plugin allows: from this one on, below the next major one.

    Within them the version of the plugin interface decides, which the core checks as it loads a plugin.
    """
    return f"sfda-kit>={__version__},<{Version(__version__).major + 1}"
