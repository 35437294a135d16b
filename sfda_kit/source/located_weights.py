"""Weights on this disk, in a file or in a folder as timm writes it, and what is known of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sfda_kit.errors import UserError, brief
from sfda_kit.files import read_text
from sfda_kit.interfaces.weights import Triple, same_name
from sfda_kit.plugins.code_hash import part_identity

if TYPE_CHECKING:
    from sfda_kit.plugins.component import Component

ENDINGS = (".safetensors", ".pt", ".pth", ".bin", ".ckpt")
USUAL = ("model.safetensors", "pytorch_model.bin")
"""The names that timm gives a file of weights in a folder, the better first."""
DESCRIPTION = "config.json"
"""The file of a folder in which timm names the architecture and the normalisation."""


@dataclass(frozen=True)
class LocatedWeights:
    """Weights on this disk. ``name``: how a record calls them, without a folder of this disk; ``file``: the tensors.

    ``architecture``: the backbone that they are of, empty where nothing says so; ``mean`` and ``std``: the input
    normalisation for values in [0, 1], None where nothing says so. ``part``: the declaration of a named set.
    """

    name: str
    file: Path
    sha256: str
    architecture: str = ""
    mean: Triple | None = None
    std: Triple | None = None
    licence: str = ""
    source: str = ""
    rename: Callable[[str], str | None] = same_name
    part: Component | None = None

    def described(self) -> dict[str, str]:
        """Return what cards and records say of the weights."""
        return {"name": self.name, "sha256": self.sha256, "licence": self.licence, "source": self.source}

    def identity(self) -> dict[str, Any]:
        """Return what decides a network that begins with these weights."""
        code = part_identity("weights", self.part.name) if self.part else None
        return {**self.described(), "mean": self.mean, "std": self.std, "code": code}


def weights_at(path: Path, name: str) -> LocatedWeights:
    """Return the weights in a file or folder, which records call ``name``. Raises ``UserError`` if there are none."""
    told = description(path)
    file = _only_file(path) if path.is_dir() else path
    if not file.is_file():
        raise UserError(
            f"There are no weights at {path}. Give a file (.safetensors, .pt or .pth), a folder, hf-hub:OWNER/NAME, or "
            "an installed set of weights (`sfda-kit plugins list --kind weights`)."
        )
    stated = told.get("pretrained_cfg")
    stated = stated if isinstance(stated, Mapping) else told
    return LocatedWeights(
        name,
        file,
        file_hash(file),
        architecture=str(told.get("architecture") or ""),
        mean=_triple(stated, "mean", path),
        std=_triple(stated, "std", path),
        licence=str(stated.get("license") or ""),
        source=str(stated.get("origin_url") or ""),
    )


def description(folder: Path) -> Mapping[str, Any]:
    """Return what timm's ``config.json`` in ``folder`` says, empty where there is none. Raises ``UserError``."""
    file = folder / DESCRIPTION
    if not file.is_file():
        return {}
    try:
        told = json.loads(read_text(file))
    except (OSError, ValueError) as error:
        raise UserError(f"{file} is not the description of weights that timm writes: {brief(error)}.") from None
    return told if isinstance(told, dict) else {}


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a file in hex digits. It is computed once for each state of the file."""
    state = path.stat()
    return _hash(path, state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=32)
def _hash(path: Path, size: int, changed: int) -> str:
    del size, changed
    found = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            found.update(block)
    return found.hexdigest()


def _only_file(folder: Path) -> Path:
    """Return the file of weights in ``folder``: that of timm's name, else the only one. Raises ``UserError``."""
    usual = [folder / name for name in USUAL if (folder / name).is_file()]
    files = usual or sorted(path for path in folder.iterdir() if path.suffix in ENDINGS and path.is_file())
    if not usual and len(files) != 1:
        here = ", ".join(path.name for path in files) or "none"
        raise UserError(
            f"{folder} holds no {' or '.join(USUAL)}, and not exactly one other file of weights (found: {here}). Name "
            "the file itself."
        )
    return files[0]


def _triple(told: Mapping[str, Any], key: str, path: Path) -> Triple | None:
    values = told.get(key)
    if values is None:
        return None
    is_triple = isinstance(values, list) and len(values) == 3 and all(isinstance(one, (int, float)) for one in values)
    if not is_triple or not all(0 <= one <= 1 for one in values) or (key == "std" and min(values) == 0):
        raise UserError(f"{path / DESCRIPTION}: {key} is {brief(values)}; expected three numbers for values in [0, 1].")
    red, green, blue = map(float, values)
    return red, green, blue
