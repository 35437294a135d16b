"""Committed losses of each stage of the core: whoever changes a number raises the algorithm version of its stage.

``committed_losses.json`` holds them with the version under which they were made. After a change on purpose, raise
``sfda_kit.versions.ALGORITHMS`` and write them anew: ``python tests/runs/test_algorithm_versions.py``.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from sfda_kit import Bridge, Event, Recipe, RecipeMethod
from sfda_kit.adaptation.bridge_stage import BridgeTraining
from sfda_kit.builtin.encodings import ChannelCopy
from sfda_kit.config.models import AdaptConfig, BridgeStageConfig, SourceConfig
from sfda_kit.data.views import LabelledView, Normalisation, stored_size
from sfda_kit.interfaces.bridge import BridgeObjective
from sfda_kit.plugins.modalities import modality
from sfda_kit.source.source_training import SupervisedTrainer
from sfda_kit.testing.contexts import small_context
from sfda_kit.testing.networks import CLASSES, SIDE, small_network, small_source_network
from sfda_kit.testing.signals import small_pairs, small_target
from sfda_kit.training.checkpoint import Checkpoint
from sfda_kit.training.loop import train_stage
from sfda_kit.versions import ALGORITHMS

COMMITTED = Path(__file__).with_name("committed_losses.json")


class Double(Normalisation):
    """Normalises to double precision."""

    def __call__(self, images: Tensor) -> Tensor:
        return super().__call__(images.double())


DOUBLE = Double((0.5, 0.4, 0.3), (0.2, 0.25, 0.3))


class Listening:
    """Keeps the losses of every step."""

    def __init__(self) -> None:
        self.losses: list[float] = []

    def __call__(self, event: Event) -> None:
        if event.kind == "step":
            self.losses += event.data["terms"].values()


def double(view: Any) -> Any:
    for part in (view.source, view.target) if hasattr(view, "source") else (view,):
        part.normalisation = DOUBLE
    return view


def adaptation(folder: Path) -> list[float]:
    listener = Listening()
    context = small_context(
        folder,
        recipe=Recipe.model_validate({"aligners": {"infomax": 1.0, "ti-features": 0.5}, "labeler": "centroid"}),
        config=AdaptConfig(epochs=2, batch_size=4, evaluation_batch_size=6, steps_per_epoch=3),
        network=small_network().double(),
        source_network=small_source_network().double(),
        target=double(small_target()),
        pairs=double(small_pairs()),
        listener=listener,
    )
    list(RecipeMethod().adapt(context))
    return listener.losses


class Objective(BridgeObjective):
    def terms(self) -> Mapping[str, Callable[[Any], Tensor]]:
        return {
            "pixels": lambda signals: (signals.bridged_ti_images - signals.ti_source_images).square().mean(),
            "sureness": lambda signals: -signals.bridged_target_logits.log_softmax(1).amax(1).mean(),
        }


class Mixed(Bridge):
    """One linear map of the channels."""

    def __init__(self) -> None:
        super().__init__()
        self.mix = nn.Conv2d(3, 3, 1)

    def forward(self, images: Tensor) -> Tensor:
        mixed: Tensor = self.mix(images)
        return mixed

    def objective(self, source_network: Any) -> BridgeObjective:
        return Objective()


def bridge(folder: Path) -> list[float]:
    listener = Listening()
    torch.manual_seed(0)
    config = BridgeStageConfig(batch_size=4)
    views = double(small_target()), double(small_pairs())
    source = small_source_network().double()
    training = BridgeTraining(*views, source, config, 1, "crop-flip", 0, {}, listener, nullcontext)
    training._train(Mixed().double(), {"pixels": 1.0, "sureness": 0.3}, folder)
    return listener.losses


def source(folder: Path) -> list[float]:
    listener = Listening()
    side = stored_size(SIDE)
    pixels = np.random.default_rng(0).integers(0, 256, (12, side, side, 3)).astype(np.uint8)
    labels = torch.arange(12) % CLASSES
    view = LabelledView(pixels, modality("rgb"), ChannelCopy(), SIDE, DOUBLE, labels=labels)
    config = SourceConfig(epochs=2, batch_size=4)
    trainer = SupervisedTrainer(small_network().double(), view, torch.arange(12), config, 0, nullcontext)
    list(train_stage(trainer.stage("source"), Checkpoint(folder / "checkpoint.pt"), listener))
    return listener.losses


@contextmanager
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


STAGES = {"source": source, "bridge": bridge, "adaptation": adaptation}


@pytest.mark.parametrize("stage", STAGES)
def test_losses_are_those_committed_for_the_algorithm_version(stage: str, tmp_path: Path) -> None:
    committed = json.loads(COMMITTED.read_text())[stage]
    with one_thread():
        found = STAGES[stage](tmp_path)
    assert ALGORITHMS[stage] == committed["version"], "write the losses of the new version (see the module docstring)"
    np.testing.assert_allclose(found, committed["losses"], rtol=1e-9, err_msg=f"raise ALGORITHMS[{stage!r}]")


if __name__ == "__main__":
    losses = {}
    for name, stage in STAGES.items():
        with tempfile.TemporaryDirectory() as folder, one_thread():
            losses[name] = {"version": ALGORITHMS[name], "losses": stage(Path(folder))}
    COMMITTED.write_text(json.dumps(losses, indent=1) + "\n")
