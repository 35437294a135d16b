"""Reading of weights from elsewhere: safetensors, or a state dict that torch can read without running code."""

from __future__ import annotations

import pickle
import warnings
import zipfile
from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from sfda_kit.errors import UserError, brief

NESTINGS = ("state_dict", "model_state_dict", "model_state", "model", "network", "net", "weights")
"""The keys under which training scripts store the state dict, the most specific first."""


def read_states(paths: Sequence[Path]) -> dict[str, Tensor]:
    """Read a model of one file or several. Raises ``UserError`` as ``read_state`` does, and for a name met twice."""
    joined: dict[str, Tensor] = {}
    for path in paths:
        state = read_state(path)
        if twice := sorted(joined.keys() & state.keys()):
            raise UserError(
                f"{path} holds the tensor {twice[0]!r}, which a file before it holds too. Give the files of one model, "
                "each once: those of SHOT are source_F.pt, source_B.pt and source_C.pt."
            )
        joined |= state
    return joined


def read_state(path: Path) -> dict[str, Tensor]:
    """Read tensors by name from ``path`` to the CPU, without running code from a pickle.

    Raises ``UserError`` for a file that is missing or damaged, or holds more than tensors, containers and options of
    ``argparse``, which training scripts add.
    """
    if not path.is_file():
        raise UserError(f"There are no weights at {path}. Give a .safetensors, .pt or .pth file.")
    if path.suffix == ".safetensors":
        try:
            return _tensors(load_file(path), path)
        except (SafetensorError, OSError, ValueError) as error:
            raise UserError(f"{path} is not a safetensors file, or is damaged: {brief(error, quoted=False)}") from None
    return _tensors(_unwrapped(_load_plain(path)), path)


def _load_plain(path: Path) -> Any:
    try:
        with torch.serialization.safe_globals([Namespace]), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # they are about pickle protocols; unreadable files are refused below
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # broken files raise errors of pickle, zip, struct and more
        raise UserError(_refusal(path, error)) from None


def _refusal(path: Path, error: Exception) -> str:
    if path.stat().st_size == 0 or not (_zipped(path) or _pickled(path)):
        return f"{path} is no file of weights, or is damaged. Expected safetensors, or a .pt of torch.save."
    lines = str(error).splitlines()
    reason = next((line for line in lines if "global" in line.lower()), lines[0] if lines else "").strip()
    return (
        f"{path} holds more than a plain state dict ({reason.partition('. Please')[0][:160]}). It was not "
        "unpickled, because a pickle can run any code. Where the model was trained, save its weights alone: "
        "safetensors.torch.save_file(model.state_dict(), 'weights.safetensors'), and import that file."
    )


def _zipped(path: Path) -> bool:
    try:
        return zipfile.is_zipfile(path)
    except zipfile.BadZipFile:  # it is one, of a kind that is not read
        return True


def _pickled(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(1) == pickle.PROTO


def _unwrapped(value: Any) -> Any:
    """Return the innermost mapping under the usual keys. A mapping that holds itself ends the search."""
    for _ in NESTINGS:
        if not isinstance(value, Mapping):
            break
        inner = next((value[key] for key in NESTINGS if isinstance(value.get(key), Mapping)), None)
        if inner is None:
            break
        value = inner
    return value


def _tensors(value: Any, path: Path) -> dict[str, Tensor]:
    items = value.items() if isinstance(value, Mapping) else ()
    state = {str(name): tensor for name, tensor in items if isinstance(tensor, Tensor)}
    if not state:
        found = (
            f"the keys {brief(', '.join(map(str, list(value)[:8])), 200, quoted=False)}"
            if isinstance(value, Mapping)
            else type(value).__name__
        )
        raise UserError(
            f"{path} holds no state dict but {found}. Expected tensors by name, as model.state_dict() gives "
            f"them, at the top or under one of: {', '.join(NESTINGS)}."
        )
    if name := next((name for name, tensor in state.items() if not _finite(tensor)), None):
        raise UserError(
            f"{path}: the tensor {brief(name)} holds values that are not finite numbers, so the model predicts nothing "
            "that makes sense. Import a checkpoint from before its training failed."
        )
    return state


def _finite(tensor: Tensor) -> bool:
    return not tensor.is_floating_point() or bool(torch.isfinite(tensor.float()).all())
