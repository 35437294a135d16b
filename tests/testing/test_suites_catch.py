"""The conformance suites fail for parts that break their contract."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sfda_kit import AdaptationContext, Aligner, Encoding, EpochState, Method, PseudoLabeler, PseudoLabels, Tracker
from sfda_kit.adaptation.feature_bank import FeatureBank, fill_bank
from sfda_kit.events import Event
from sfda_kit.interfaces.bridge import Bridge
from sfda_kit.models.network import AdaptedModel
from sfda_kit.testing import (
    AlignerConformance,
    BridgeConformance,
    EncodingConformance,
    LabelerConformance,
    MethodConformance,
    TrackerConformance,
)
from sfda_kit.testing.conformance_tracker import small_description


def suite(base: type[Any], part: Callable[[], object]) -> Any:
    """A conformance suite over ``part``, without a declaration."""
    return type("Suite", (base,), {"part": lambda self: part()})()


class PerImage(Aligner):
    def __call__(self, signals: Any) -> Tensor:
        return signals.target_features.norm(dim=1)


class Detached(Aligner):
    def __call__(self, signals: Any) -> Tensor:
        return signals.target_features.detach().norm().requires_grad_()


class TrainsTheTeacher(Aligner):
    def __call__(self, signals: Any) -> Tensor:
        signals._source.train()(signals.target_images)
        return signals.target_features.norm()


class Random(Aligner):
    def __call__(self, signals: Any) -> Tensor:
        return signals.target_features.norm() * torch.rand(())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("aligner", "test", "says"),
    [
        (PerImage, "returns_a_finite_scalar", "expected a 0-d tensor, got shape"),
        (Detached, "trains_the_network", "no gradient reaches the network"),
        (TrainsTheTeacher, "leaves_the_source_network_alone", "has changed"),
        (Random, "same_step_gives_the_same_loss", "torch.equal|assert"),
    ],
)
def test_broken_aligners(aligner: type[Aligner], test: str, says: str) -> None:
    with pytest.raises(AssertionError, match=says):
        getattr(suite(AlignerConformance, aligner), f"test_{test}")()


class Unclipped(Encoding):
    def __call__(self, images: Tensor, modality: Any) -> Tensor:
        return images.expand(-1, 3, -1, -1)


class ByBatch(Encoding):
    def __call__(self, images: Tensor, modality: Any) -> Tensor:
        return (images / images.amax().clamp(min=1)).clamp(0, 1).expand(-1, 3, -1, -1)


class Overwrites(Encoding):
    def __call__(self, images: Tensor, modality: Any) -> Tensor:
        return images.clamp_(0, 0.5).expand(-1, 3, -1, -1)


class SeesTheHole(Encoding):
    def __call__(self, images: Tensor, modality: Any) -> Tensor:
        return (images.amin(dim=(1, 2, 3), keepdim=True) / 3).expand(-1, 3, *images.shape[2:])


@pytest.mark.parametrize(
    ("encoding", "test", "says"),
    [
        (Unclipped, "three_channels_between_zero_and_one", "depth: not in"),
        (ByBatch, "each_image_is_treated_alone", "not close"),
        (Overwrites, "same_images_give_the_same_values_and_stay_as_they_are", "the images were changed"),
        (SeesTheHole, "missing_values_do_not_leak", "a hole reaches the border"),
    ],
)
def test_broken_encodings(encoding: type[Encoding], test: str, says: str) -> None:
    with pytest.raises(AssertionError, match=says):
        getattr(suite(EncodingConformance, encoding), f"test_{test}")()


class FloatLabels(PseudoLabeler):
    def __call__(self, bank: FeatureBank) -> PseudoLabels:
        return PseudoLabels(bank.predictions.float(), torch.ones(len(bank.logits)))


class FirstImageCounts(PseudoLabeler):
    def __call__(self, bank: FeatureBank) -> PseudoLabels:
        labels = (bank.predictions + bank.predictions[0]) % bank.logits.shape[1]
        return PseudoLabels(labels, torch.ones(len(labels)))


@pytest.mark.parametrize(
    ("labeler", "test"),
    [(FloatLabels, "labels_every_image"), (FirstImageCounts, "order_of_images_does_not_matter")],
)
def test_broken_labelers(labeler: type[PseudoLabeler], test: str) -> None:
    with pytest.raises(AssertionError):
        getattr(suite(LabelerConformance, labeler), f"test_{test}")()


class Halves(Bridge):
    def __init__(self) -> None:
        super().__init__()
        self.mix = nn.Conv2d(3, 3, 2, stride=2)

    def forward(self, images: Tensor) -> Tensor:
        return self.mix(images)


class LooksAtTheBatch(Bridge):
    trained = False

    def forward(self, images: Tensor) -> Tensor:
        return images - images.mean(dim=0)


@pytest.mark.parametrize(
    ("bridge", "test"),
    [(Halves, "keeps_shape_and_type"), (LooksAtTheBatch, "inference_treats_each_image_alone")],
)
def test_broken_bridges(bridge: type[Bridge], test: str) -> None:
    with pytest.raises(AssertionError):
        getattr(suite(BridgeConformance, bridge), f"test_{test}")()


class Kept(Method):
    """Moves the classifier's bias once a call and remembers nothing."""

    def adapt(self, context: AdaptationContext) -> Iterator[EpochState]:
        model = AdaptedModel(context.input_bridge, context.network)
        for epoch in (1, 2):
            self.step(context, epoch)
            yield EpochState("kept", epoch, 2, model, self.bank(model, context))

    def step(self, context: AdaptationContext, epoch: int) -> None:
        context.network.classifier.bias.data.add_(0.1)  # type: ignore[union-attr, operator]

    def bank(self, model: AdaptedModel, context: AdaptationContext) -> FeatureBank:
        return fill_bank(model, context.target)


class Nothing(Kept):
    def adapt(self, context: AdaptationContext) -> Iterator[EpochState]:
        yield from ()


class ShortBank(Kept):
    def bank(self, model: AdaptedModel, context: AdaptationContext) -> FeatureBank:
        bank = fill_bank(model, context.target)
        return FeatureBank(bank.features[1:], bank.logits[1:])


class TouchesTheSource(Kept):
    def step(self, context: AdaptationContext, epoch: int) -> None:
        context.source_network.classifier.bias.data.add_(1)  # type: ignore[union-attr, operator]


class DrawsGlobally(Kept):
    def step(self, context: AdaptationContext, epoch: int) -> None:
        context.network.classifier.bias.data.add_(torch.rand(()))  # type: ignore[union-attr, operator]


class LosesItsEpochs(Kept):
    """Continues with the epochs that are left, from the weights it began with."""

    def step(self, context: AdaptationContext, epoch: int) -> None:
        mark = context.checkpoint_dir / "done"
        if not mark.exists():
            super().step(context, epoch)
        if epoch == 2:
            mark.parent.mkdir(parents=True, exist_ok=True)
            mark.touch()


@pytest.mark.parametrize(
    ("method", "test"),
    [
        (Nothing, "yields_a_model_and_answers_for_every_image"),
        (ShortBank, "yields_a_model_and_answers_for_every_image"),
        (TouchesTheSource, "leaves_the_source_network_alone"),
        (DrawsGlobally, "same_seed_gives_the_same_result"),
        (LosesItsEpochs, "continues_where_it_was_stopped"),
        (LosesItsEpochs, "continues_after_its_last_epoch"),
    ],
)
def test_broken_methods(method: type[Method], test: str, tmp_path: Path) -> None:
    with pytest.raises(AssertionError):
        getattr(suite(MethodConformance, method), f"test_{test}")(tmp_path)
    if method is LosesItsEpochs:
        getattr(suite(MethodConformance, Kept), f"test_{test}")(tmp_path / "kept")


class Meddles(Tracker):
    def event(self, event: Event) -> None:
        event.data.clear()


class Strict(Tracker):
    def event(self, event: Event) -> None:
        {"run": 1, "notice": 1, "stage": 1, "step": 1, "epoch": 1, "done": 1}[event.kind]


class WantsFigures(Strict):
    def finish(self, summary: Mapping[str, Any]) -> None:
        float(summary["metrics"]["heldout_accuracy"])


class OnceOnly(Tracker):
    def __init__(self, run_dir: Path, described: Mapping[str, Any]) -> None:
        super().__init__(run_dir, described)
        (run_dir / "mine").mkdir()

    def event(self, event: Event) -> None: ...


@pytest.mark.parametrize(
    ("tracker", "test"),
    [
        (Meddles, "leaves_events_and_summary_as_they_are"),
        (Strict, "an_event_of_a_later_version_is_ignored"),
        (WantsFigures, "a_failed_run_without_figures"),
        (OnceOnly, "goes_on_with_a_resumed_run"),
    ],
)
def test_broken_trackers(tracker: type[Tracker], test: str, tmp_path: Path) -> None:
    def make(self: object, run_dir: Path) -> Tracker:
        return tracker(run_dir, small_description(run_dir))

    found = type("Suite", (TrackerConformance,), {"tracker": make})()
    with pytest.raises((AssertionError, KeyError, TypeError, FileExistsError)):
        getattr(found, f"test_{test}")(tmp_path)
