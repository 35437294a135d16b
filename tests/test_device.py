"""A step computes where its network is. The meta device stands in: it refuses to mix with the CPU as others do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from sfda_kit import PseudoLabels
from sfda_kit.adaptation.recipe_method import pseudo_label_loss
from sfda_kit.adaptation.step_inputs import StepInputs
from sfda_kit.adaptation.step_signals import BridgeSignals, StepSignals
from sfda_kit.data.augment import color_jitter
from sfda_kit.data.views import ImageView, Normalisation
from sfda_kit.models.network import Network
from sfda_kit.plugins.discovery import build_part, registry
from sfda_kit.plugins.modalities import modality
from sfda_kit.testing.networks import small_network, small_source_network
from sfda_kit.testing.signals import IMAGES, small_inputs, small_memory

pytestmark = pytest.mark.slow

META = torch.device("meta")
DATA_DEPENDENT = ("guided-labels", "mixmatch")
NORMAL = Normalisation((0.5, 0.4, 0.3), (0.2, 0.1, 0.3))


def names(kind: str) -> list[str]:
    return [part.name for part in registry().of_kind(kind)]


def inputs() -> StepInputs:
    """Images from memory of the CPU, batches on the device."""
    given = small_inputs()
    assert given.pairs is not None
    for view in (given.target, given.pairs.source, given.pairs.target):
        view.device = META
    return given


def signals(reads: tuple[str, ...] = (), network: Network | None = None) -> StepSignals:
    teacher = build_part("bridge", "unet").to(META)
    bridges = {"input": build_part("bridge", "copy"), "teacher": teacher}
    labels = PseudoLabels(torch.zeros(IMAGES, dtype=torch.long, device=META), torch.ones(IMAGES, device=META))
    networks = (network or small_network().to(META), small_source_network().to(META))
    memory = small_memory(small_network()).to(META)
    return StepSignals(inputs(), *networks, bridges, frozenset(reads), labels, memory)


@pytest.mark.parametrize("name", names("aligner"))
@pytest.mark.needs_plugin("sfda-kit-tgkt")
def test_aligners(name: str):
    if name in DATA_DEPENDENT:
        pytest.skip("it asks for values, and the meta device has none")
    aligner, network = build_part("aligner", name), small_network().to(META)
    if (own := aligner.own_module(network)) is not None:
        own.to(META)
    loss = aligner(signals(aligner.reads, network))
    loss.backward()
    assert loss.device == META


@pytest.mark.needs_plugin("sfda-kit-tgkt")
def test_pseudo_labels():
    assert pseudo_label_loss(signals()).device == META


@pytest.mark.parametrize("name", names("bridge"))
def test_objectives_of_bridges(name: str):
    bridge, source = build_part("bridge", name).to(META), small_source_network().to(META)
    if bridge.trained:
        for term in bridge.objective(source).to(META).terms().values():
            assert term(BridgeSignals(inputs(), bridge, source)).device == META


OPTIONS = {"hha": {"gravity": "level"}}
"""Gravity as ``hha`` estimates it is found on the CPU, on purpose."""


def encoded() -> list[tuple[str, str]]:
    """Every encoding with each modality that it takes."""
    takes = {name: registry().get("encoding", name).load().modalities for name in names("encoding")}
    kinds = ("rgb", "depth", "nir")
    return [(name, kind) for name in takes for kind in kinds if kind == "rgb" or kind in (takes[name] or kinds)]


@pytest.mark.parametrize(("name", "kind"), encoded())
def test_views(name: str, kind: str):
    stored = {"rgb": np.zeros((4, 18, 18, 3), np.uint8), "depth": np.zeros((4, 18, 18), np.uint16)}
    pixels = stored.get(kind, np.zeros((4, 18, 18), np.uint8))
    view = ImageView(pixels, modality(kind), build_part("encoding", name, OPTIONS.get(name)), 16, NORMAL, META)
    generator, rows = torch.Generator().manual_seed(0), torch.arange(4)
    for geometry in (None, *(view.draw_geometry(4, drawn, generator) for drawn in ("crop-flip", "strong"))):  # type: ignore[arg-type]
        assert view.batch(rows, geometry).device == META
    assert NORMAL.undo(view.batch(rows)).device == META
    assert color_jitter(view.encoded(rows), 0.4, generator).device == META


@pytest.mark.needs_plugin("sfda-kit-tgkt")
def test_pixels_are_sent_as_types_that_every_accelerator_knows(monkeypatch: pytest.MonkeyPatch):
    sent: list[torch.dtype] = []
    to = torch.Tensor.to

    def watched(tensor: torch.Tensor, *arguments: Any, **options: Any) -> torch.Tensor:
        if arguments == (META,):
            sent.append(tensor.dtype)
        return to(tensor, *arguments, **options)

    monkeypatch.setattr(torch.Tensor, "to", watched)
    signals().target_images  # noqa: B018
    signals().ti_source_images  # noqa: B018
    assert sent.count(torch.uint16) == 0 and {torch.float32, torch.uint8} <= set(sent)
