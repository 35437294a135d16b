"""The feature bank: the outputs of one inference pass over unlabelled images."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from sfda_kit.errors import RunError
from sfda_kit.models.split_pass import split_rows

CPU_BATCH = 32
"""The most images that a CPU takes at a time. Larger batches take no less time and more memory: ResNet-18 at 224 px
takes 216 MiB for 32 images and 1,922 MiB for 256 (``benchmarks/speed/passes.py``)."""


class ImageBatches(Protocol):
    """The images that fill a bank: an ``ImageView``, or its images in another order or augmented."""

    def __len__(self) -> int: ...

    def batch(self, rows: Tensor) -> Tensor:
        """Return the images of ``rows``, (B, 3, size, size), normalised for the source model."""


@dataclass(frozen=True)
class FeatureBank:
    """A feature bank holds bottleneck ``features`` (N, D) and ``logits`` (N, K), computed with the test transform."""

    features: Tensor
    logits: Tensor

    @cached_property
    def probabilities(self) -> Tensor:
        """The softmax of the logits, (N, K)."""
        return self.logits.softmax(dim=1)

    @cached_property
    def predictions(self) -> Tensor:
        """The most likely class of each image, int64 (N,)."""
        return self.logits.argmax(dim=1)


@dataclass(frozen=True)
class PairBanks:
    """Banks of TI pairs, row by row: the source model's on source halves, the judged model's on target halves."""

    source: FeatureBank
    target: FeatureBank

    @cached_property
    def agreement(self) -> float:
        """The share of pairs, in [0, 1], whose two halves are predicted as the same class."""
        return float((self.source.predictions == self.target.predictions).float().mean())


@torch.inference_mode()
def fill_bank(
    model: nn.Module,
    view: ImageBatches,
    batch_size: int = 256,
    autocast: Callable[[], AbstractContextManager[Any]] = nullcontext,
) -> FeatureBank:
    """Return features and logits of every row of ``view`` in order; every module keeps its mode.

    ``batch_size``: the most images at a time; a CPU takes ``CPU_BATCH``. ``autocast``: that of the run, so that a run
    in 16 bits infers in 16 bits too; the bank is float32. Raises ``RunError`` when an output is not finite.
    """
    on_cpu = all(parameter.device.type == "cpu" for parameter in model.parameters())
    size = min(batch_size, CPU_BATCH) if on_cpu else batch_size

    def answers(rows: Tensor) -> tuple[Tensor, Tensor]:
        outputs = [model(view.batch(part)) for part in torch.split(rows, size)]
        features = torch.cat([output.features.float() for output in outputs])
        return features, torch.cat([output.logits.float() for output in outputs])

    with evaluation_mode(model), autocast():
        features, logits = split_rows(answers, len(view))
    if not torch.isfinite(logits).all():
        raise RunError(
            "The network's outputs are no longer finite: its weights have grown beyond all bounds. The state "
            "after the epoch before is kept. Lower the learning rate (--set adapt.lr=...)."
        )
    return FeatureBank(features, logits)


@contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """Set ``model`` to evaluation mode while open; then give each module its own mode back, frozen ones too."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
