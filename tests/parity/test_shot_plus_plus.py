"""The parts of SHOT++ against numbers that the authors' code gave: the split, rotation and labeling transfer."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from sfda_kit import FeatureBank, build_part

from .golden import PRECISIONS, close, load, tensor, wanted

pytestmark = pytest.mark.needs_plugin("sfda-kit-shot")


def of_case(name: str, double: bool) -> Any:
    """Return a function that gives the wanted output of a name, in the precision asked for."""
    data = load("shot_plus_plus", name)
    return lambda output: wanted(data, output, double)


# The split.


@PRECISIONS
@pytest.mark.parametrize("case", ["n200_k12", "n123_k5_absent", "n41_k2", "n60_k31", "n90_k6_single"])
def test_entropy_split(case: str, double: bool) -> None:
    data = load("shot_plus_plus", f"entropy_split_{case}")
    logits = tensor(data["in_logits"], double)
    found = build_part("labeler", "entropy-split", {})(FeatureBank(torch.zeros(len(logits), 1), logits))
    close(found.labels, data["out_labels"], double)
    close((found.weights > 0).long(), data["out_is_low"], double)


def test_a_class_predicted_once_has_no_easy_image() -> None:
    data = load("shot_plus_plus", "entropy_split_n90_k6_single")
    of_first = data["out_labels"] == 0
    assert of_first.sum() == 1 and data["out_is_low"][of_first].sum() == 0


# Relative rotation.


class SmallNetwork(nn.Module):
    """f(x) = tanh(W vec(x) + b)."""

    def __init__(self, data: dict[str, Any], double: bool, trains: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(tensor(data["in_weight"], double), requires_grad=trains)
        self.bias = nn.Parameter(tensor(data["in_bias"], double), requires_grad=trains)
        self.feature_width = len(self.bias)

    def forward(self, images: Tensor) -> Any:
        return SimpleNamespace(features=torch.tanh(images.flatten(1) @ self.weight.T + self.bias))


def rotation_loss(data: dict[str, Any], double: bool, trains: bool, monkeypatch: Any) -> tuple[Tensor, Any, Any, Any]:
    """Return the loss of the shipped term with the drawn quarters of the file, the network, the head and the images."""
    network, seen = SmallNetwork(data, double, trains), list[Tensor]()
    term = build_part("aligner", "relative-rotation", {})
    head = term.own_module(network).to(torch.float64 if double else torch.float32)
    with torch.no_grad():
        head.weight.copy_(tensor(data["in_head_weight"], double))
        head.bias.copy_(tensor(data["in_head_bias"], double))
    monkeypatch.setattr(torch, "randint", lambda *_, **__: torch.from_numpy(data["in_quarters"]))

    def answer(images: Tensor) -> Any:
        seen.append(images)
        return network(images)

    signals = SimpleNamespace(target_images=tensor(data["in_images"], double), answer=answer, random=None)
    return term(signals), network, head, seen


@PRECISIONS
@pytest.mark.parametrize("case", ["b9_s5", "b16_s4", "b1_s3", "b3_s6"])
def test_rotation_while_adapting(case: str, double: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    data, wanted = load("shot_plus_plus", f"rotation_{case}"), of_case(f"rotation_{case}", double)
    loss, network, head, (upright, turned) = rotation_loss(data, double, True, monkeypatch)
    (0.6 * loss).backward()
    assert np.array_equal(upright.numpy(), data["in_images"]) or double
    close(turned, wanted("turned"), double)
    close(0.6 * loss, wanted("adapt_loss"), double)
    for name, parameter in (("weight", network.weight), ("bias", network.bias)):
        close(parameter.grad, wanted(f"adapt_{name}_gradient"), double)
        close(getattr(head, name).grad, wanted(f"adapt_head_{name}_gradient"), double)


@PRECISIONS
@pytest.mark.parametrize("case", ["b9_s5", "b16_s4", "b1_s3", "b3_s6"])
def test_rotation_of_the_head_alone(case: str, double: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    data, wanted = load("shot_plus_plus", f"rotation_{case}"), of_case(f"rotation_{case}", double)
    loss, network, head, _ = rotation_loss(data, double, False, monkeypatch)
    loss.backward()
    close(loss, wanted("head_loss"), double)
    assert network.weight.grad is None
    for name in ("weight", "bias"):
        close(getattr(head, name).grad, wanted(f"head_head_{name}_gradient"), double)


# Labeling transfer.


@PRECISIONS
@pytest.mark.parametrize("case", ["b36_k31", "b5_k2", "b4_k65"])
def test_sharpened_targets(case: str, double: bool) -> None:
    from sfda_kit_shot.mixmatch import sharpen

    data, wanted = load("shot_plus_plus", f"sharpen_{case}"), of_case(f"sharpen_{case}", double)
    mean = (tensor(data["in_logits1"], double).softmax(1) + tensor(data["in_logits2"], double).softmax(1)) / 2
    close(sharpen(mean, 0.5), wanted("targets"), double)


@pytest.mark.parametrize("batch", [2, 3, 5, 24, 36])
def test_order_of_the_passes(batch: int) -> None:
    from sfda_kit_shot.mixmatch import part_edges, passes

    data = load("shot_plus_plus", f"order_b{batch}")
    close(passes(3, batch), data["out_passes"], double=True)
    close(torch.tensor(part_edges(3, batch)), data["out_part_starts"], double=True)


@PRECISIONS
@pytest.mark.parametrize("case", ["b36_k31", "b5_k2", "b3_k12"])
def test_loss_of_mixed_images(case: str, double: bool) -> None:
    from sfda_kit_shot.mixmatch import mixmatch_loss

    data, wanted = load("shot_plus_plus", f"mixmatch_loss_{case}"), of_case(f"mixmatch_loss_{case}", double)
    parts = [tensor(data[f"in_logits_{part}"], double, needs_gradient=True) for part in ("labelled", "unlabelled")]
    targets = torch.cat([tensor(data[f"in_targets_{part}"], double) for part in ("labelled", "unlabelled")])
    weight = 100 * int(data["in_step"]) / int(data["in_steps"])
    loss = mixmatch_loss(torch.cat(parts), targets, len(parts[0]), weight)
    loss.backward()
    assert weight == wanted("weight")
    close(loss, wanted("loss"), double)
    close(mixmatch_loss(torch.cat(parts), targets, len(parts[0]), 0.0), wanted("loss_labelled"), double)
    close(parts[0].grad, wanted("gradient_labelled"), double)
    close(parts[1].grad, wanted("gradient_unlabelled"), double)


class NormedNetwork(nn.Module):
    """z = W BN(vec(x)) + b; it keeps the images and answers of every pass."""

    def __init__(self, data: dict[str, Any], double: bool) -> None:
        super().__init__()
        kind = torch.float64 if double else torch.float32
        self.norm = nn.BatchNorm1d(len(data["in_scale"]), dtype=kind)
        self.linear = nn.Linear(len(data["in_scale"]), len(data["in_bias"]), dtype=kind)
        self.class_count = len(data["in_bias"])
        self.seen: list[tuple[Tensor, Tensor]] = []
        with torch.no_grad():
            for parameter, name in zip(self.parameters(), ("scale", "shift", "weight", "bias"), strict=True):
                parameter.copy_(tensor(data[f"in_{name}"], double))

    def forward(self, images: Tensor) -> Any:
        logits = self.linear(self.norm(images.flatten(1)))
        self.seen.append((images, logits))
        return SimpleNamespace(logits=logits)


def mixmatch_loss_of(data: dict[str, Any], network: NormedNetwork, double: bool, monkeypatch: Any) -> Tensor:
    """Return the loss of the shipped term, with what it draws replaced by the numbers of the file."""
    batch = len(data["in_labels"])
    views = iter([tensor(data[f"in_{name}"], double) for name in ("labelled", "view1", "view2")])
    term = build_part("aligner", "mixmatch", {})
    term.own_module(network)
    labels, rows = torch.from_numpy(data["in_labels"]), torch.arange(batch)
    monkeypatch.setattr(term.parts, "forward", lambda _: SimpleNamespace(labelled=rows, labels=labels, unlabelled=rows))
    monkeypatch.setattr(np.random, "default_rng", lambda _: SimpleNamespace(beta=lambda *_: float(data["in_drawn"])))
    monkeypatch.setattr(torch, "randperm", lambda *_, **__: torch.from_numpy(data["in_order"]))
    signals = SimpleNamespace(
        draw_target_images=lambda rows: next(views),
        answer=network,
        random=None,
        target_rows=rows,
        all_pseudo_labels=SimpleNamespace(labels=labels, weights=torch.ones(batch)),
        step=int(data["in_step"]) - 1,
        steps=int(data["in_steps"]),
    )
    return term(signals)  # type: ignore[no-any-return]


MIXMATCH = pytest.mark.parametrize("case", ["b6_k12", "b8_k5", "b5_k2", "b4_k7", "b3_k65"])


@PRECISIONS
@MIXMATCH
def test_a_step_of_labeling_transfer(case: str, double: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    from sfda_kit_shot.mixmatch import passes

    data, wanted = load("shot_plus_plus", f"mixmatch_{case}"), of_case(f"mixmatch_{case}", double)
    network, batch = NormedNetwork(data, double), len(data["in_labels"])
    loss = mixmatch_loss_of(data, network, double, monkeypatch)
    loss.backward()
    guesses = torch.stack([logits.softmax(1) for _, logits in network.seen[:2]])
    close(guesses.mean(0), wanted("mean_guess"), double)
    assert not any(logits.requires_grad for _, logits in network.seen[:2])
    close(torch.stack([images for images, _ in network.seen[2:]]), wanted("passes"), double)
    logits = torch.cat([logits for _, logits in network.seen[2:]])[passes(3, batch).flatten().argsort()]
    close(logits[:batch], wanted("logits_labelled"), double)
    close(logits[batch:], wanted("logits_unlabelled"), double)
    close(loss, wanted("loss"), double)
    for parameter, name in zip(network.parameters(), ("scale", "shift", "weight", "bias"), strict=True):
        close(parameter.grad, wanted(f"{name}_gradient"), double)
    close(network.norm.running_mean, wanted("running_mean"), double)
    close(network.norm.running_var, wanted("running_variance"), double)


@PRECISIONS
@MIXMATCH
def test_mixed_images_and_targets(case: str, double: bool) -> None:
    from sfda_kit_shot.mixmatch import mix, sharpen

    data, wanted = load("shot_plus_plus", f"mixmatch_{case}"), of_case(f"mixmatch_{case}", double)
    share = max(float(data["in_drawn"]), 1 - float(data["in_drawn"]))
    close(share, wanted("share"), double)
    order = torch.from_numpy(data["in_order"])
    images = torch.cat([tensor(data[f"in_{name}"], double) for name in ("labelled", "view1", "view2")])
    close(mix(images, share, order), wanted("mixed_images"), double)
    guess = sharpen(tensor(wanted("mean_guess"), double), 0.5)
    close(guess, wanted("targets"), double)
    labels = torch.nn.functional.one_hot(torch.from_numpy(data["in_labels"]), guess.shape[1]).to(guess)
    close(mix(torch.cat([labels, guess, guess]), share, order), wanted("mixed_targets"), double)
