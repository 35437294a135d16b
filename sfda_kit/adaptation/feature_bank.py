"""The feature bank: the outputs of one inference pass over unlabelled images."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from sfda_kit.adaptation.row_blocks import all_finite, by_row_blocks, zero_rows
from sfda_kit.device import CPU_BATCH
from sfda_kit.errors import RunError
from sfda_kit.models.split_pass import split_rows


class ImageBatches(Protocol):
    """The images that fill a bank: an ``ImageView``, or its images in another order or augmented."""

    def __len__(self) -> int: ...

    def batch(self, rows: Tensor) -> Tensor:
        """Return the images of ``rows``, (B, 3, size, size), normalised for the source model."""


@dataclass(frozen=True)
class FeatureBank:
    """A feature bank holds bottleneck ``features`` (N, D) and ``logits`` (N, K), computed with the test transform.

    On the CPU the tables of a large set are mapped files (``row_blocks.zero_rows``).
    """

    features: Tensor
    logits: Tensor

    @cached_property
    def probabilities(self) -> Tensor:
        """The softmax of the logits, (N, K)."""
        return by_row_blocks(lambda logits: logits.softmax(dim=1), self.logits)

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
        tables: tuple[Tensor, Tensor] | None = None
        for at in torch.split(torch.arange(len(rows)), size):
            output = model(view.batch(rows[at]))
            if tables is None:
                tables = _rows_for(len(rows), output.features), _rows_for(len(rows), output.logits)
            some = slice(int(at[0]), int(at[-1]) + 1) if len(at) else slice(0)
            tables[0][some], tables[1][some] = output.features, output.logits
        assert tables is not None, "there is at least one batch"
        return tables

    with evaluation_mode(model), autocast():
        bank = FeatureBank(*split_rows(answers, len(view)))
    if not all_finite(bank.logits):
        raise RunError(
            "The network's outputs are no longer finite: its weights have grown beyond all bounds. The state "
            "after the epoch before is kept. Lower the learning rate (--set adapt.lr=...)."
        )
    return bank


def _rows_for(images: int, part: Tensor) -> Tensor:
    """Return a table for the answers to all ``images``, as wide as ``part`` (B, D) and on its device."""
    return zero_rows((images, *part.shape[1:]), part.device)


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
