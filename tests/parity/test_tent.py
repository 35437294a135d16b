"""TENT against the numbers that its authors' code gives, through the shipped method."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sfda_kit import AdaptConfig, Network, seeded_generator
from sfda_kit.testing.contexts import small_context

from .golden import cases, close, load

pytestmark = pytest.mark.needs_plugin("sfda-kit-tta")
OPTIONS: dict[str, dict[str, Any]] = {
    "adam": {},
    "sgd_nesterov": {"optimizer": "sgd", "lr": 1e-3},
    "sgd_nesterov_small": {"optimizer": "sgd"},
}


class Backbone(nn.Sequential):
    """The convolutions of the published case."""

    def __init__(self, case: dict[str, NDArray[Any]]) -> None:
        first, second = (nn.BatchNorm2d(len(case[f"in_bn{number}_scale"])) for number in (1, 2))
        convolutions = [
            nn.Conv2d(3, first.num_features, 3, 1, 1, bias=False),
            nn.Conv2d(first.num_features, second.num_features, 3, 2, 1, bias=False),
        ]
        super().__init__(
            convolutions[0], first, nn.ReLU(), convolutions[1], second, nn.AdaptiveAvgPool2d(1), nn.Flatten()
        )
        self[4] = nn.Sequential(second, nn.ReLU())
        for number, convolution in enumerate(convolutions, 1):
            convolution.weight.data = torch.from_numpy(case[f"in_conv{number}"])
        self.norms = [first, second]


def network_of(arrays: dict[str, NDArray[Any]]) -> Network:
    case = {name: array.copy() for name, array in arrays.items()}  # training would write into the arrays themselves
    backbone = Backbone(case)
    classes, width = case["in_classifier_weight"].shape
    network = Network(backbone, backbone.norms[1].num_features, 0, classes)
    bottleneck = nn.Linear(backbone.norms[1].num_features, width)
    network.bottleneck, network.classifier = bottleneck, nn.Linear(width, classes)
    norms: list[nn.Module] = list(backbone.norms)
    if "in_bn3_scale" in case:
        norms.append(nn.BatchNorm1d(width))
        network.bottleneck = nn.Sequential(bottleneck, norms[2])
    for layer, name in ((bottleneck, "bottleneck"), (network.classifier, "classifier")):
        layer.weight.data = torch.from_numpy(case[f"in_{name}_weight"])
        layer.bias.data = torch.from_numpy(case[f"in_{name}_bias"])
    stored = {"weight": "scale", "bias": "shift", "running_mean": "running_mean", "running_var": "running_variance"}
    for number, norm in enumerate(norms, 1):
        for mine, theirs in stored.items():
            getattr(norm, mine).data = torch.from_numpy(case[f"in_bn{number}_{theirs}"])
    return network


class Stream:
    """The images of a case, such that the order that TENT draws is that of the file."""

    device = torch.device("cpu")

    def __init__(self, images: Tensor) -> None:
        order = torch.randperm(len(images), generator=seeded_generator(0, "tent", 0))
        self.images = images[order.argsort()]

    def __len__(self) -> int:
        return len(self.images)

    def batch(self, rows: Tensor) -> Tensor:
        return self.images[rows]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["single", "double"])
@pytest.mark.parametrize("tag", OPTIONS)
@pytest.mark.parametrize("name", cases("tent"))
def test_answers_and_steps(
    name: str, tag: str, dtype: torch.dtype, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After 1, 3 and 6 batches of the file's sizes. A BatchNorm1d is held still, as theirs is (ours learns)."""
    from sfda_kit_tta import tent

    case, double = load("tent", name), dtype is torch.float64
    layers_of = tent.modulated_layers
    monkeypatch.setattr(
        tent, "modulated_layers", lambda network: [m for m in layers_of(network) if isinstance(m, nn.BatchNorm2d)]
    )
    for batches in (1, 3, 6):
        sizes = case["in_batch_sizes"][:batches].tolist()
        monkeypatch.setattr(tent, "even_batches", lambda rows, *_, s=sizes: torch.split(rows[: sum(s)], s))
        network = network_of(case).to(dtype)
        context = small_context(
            tmp_path / str(batches),
            network=network,
            target=Stream(torch.from_numpy(case["in_images"]).to(dtype)),
            config=AdaptConfig(batch_size=sizes[0], evaluation_batch_size=100),
        )
        (state,) = tent.Tent(**OPTIONS[tag]).adapt(context)
        for number, norm in enumerate(network.backbone.norms, 1):  # type: ignore[union-attr, arg-type]
            for mine, theirs in (("weight", "scale"), ("bias", "shift")):
                wanted = case[f"out_{tag}_bn{number}_{theirs}_{batches}" + ("_f64" if double else "")]
                close(getattr(norm, mine), wanted, double)
    order = torch.randperm(len(case["in_images"]), generator=seeded_generator(0, "tent", 0))
    close(state.bank.logits[order], case[f"out_{tag}_answers"], double=False)


def test_the_plain_optimiser_would_be_seen() -> None:
    """The numbers of SGD without Nesterov differ by more than the tolerance."""
    case = load("tent", "k5")
    with pytest.raises(AssertionError):
        close(case["out_sgd_plain_bn1_scale_3_f64"], case["out_sgd_nesterov_bn1_scale_3_f64"], double=True)
