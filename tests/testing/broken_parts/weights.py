"""Sets of backbone weights that break their contract, each in one point."""

from __future__ import annotations

import hashlib
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save

from sfda_kit import BackboneWeights
from sfda_kit.scaffold.sample_weights import ARCHITECTURE, sample_weights
from sfda_kit.source.foreign_weights import read_state
from sfda_kit.testing import WeightsConformance

from .broken import Broken, broken


@cache
def folder() -> Path:
    return Path(tempfile.mkdtemp())


def kept(content: bytes) -> BackboneWeights:
    """The sample, with ``content`` as its file."""
    sha256 = hashlib.sha256(content).hexdigest()
    file = folder() / f"{sha256}.safetensors"
    file.write_bytes(content)
    half = (0.5, 0.5, 0.5)
    return BackboneWeights(ARCHITECTURE, lambda: file, sha256, half, half, licence="MIT", source="a test")


def changed(**values: Any) -> BackboneWeights:
    return BackboneWeights(**{**vars(kept(sample_weights())), **values})


def without_a_layer() -> BackboneWeights:
    state = read_state(kept(sample_weights()).file())
    del state["conv_stem.weight"]
    return kept(save(state))


def blind() -> BackboneWeights:
    state = read_state(kept(sample_weights()).file())
    return kept(save({name: torch.zeros_like(tensor) for name, tensor in state.items()}))


def of(make: Any, check: str, says: str) -> Broken:
    return broken(WeightsConformance, Broken, check, says, part=lambda self: make())


BROKEN = [
    of(lambda: changed(architecture="resnet9000"), "architecture_is_one_of_timm", "timm has no backbone 'resnet9000'"),
    of(lambda: changed(sha256="0" * 64), "file_has_the_declared_hash", "the file has the SHA-256 .*; declared is 000"),
    of(lambda: changed(file=lambda: folder() / "none"), "file_has_the_declared_hash", "there is no file at .*none"),
    of(without_a_layer, "every_tensor_has_its_place", "do not fit the backbone"),
    of(blind, "features_follow_from_the_image", "four random images have the same features"),
]
