"""What PLUE remembers between steps: answers, keys and labels. In each the oldest entry makes room for the newest."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sfda_kit import FeatureBank, GrowingBuffers


def next_places(place: int, count: int, size: int) -> Tensor:
    """Return the ``count`` places from ``place`` on among ``size``, int64; after the last comes the first."""
    return torch.arange(place, place + count) % size


class AnswerBank(nn.Module):
    """An answer bank holds ``features`` (M, D) as they are and ``probabilities`` (M, C) of images, in no known order.

    Each epoch begins with new answers to all images, so a checkpoint, which is made between two epochs, has none.
    """

    features: Tensor
    probabilities: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("features", torch.empty(0, 0), persistent=False)
        self.register_buffer("probabilities", torch.empty(0, 0), persistent=False)
        self.place = 0

    @torch.no_grad()
    def fill(self, answers: FeatureBank, rows: Tensor) -> None:
        """Replace everything by the answers to the images ``rows`` (M,), in their order."""
        rows = rows.to(answers.features.device)
        self.features, self.probabilities, self.place = answers.features[rows], answers.probabilities[rows], 0

    @torch.no_grad()
    def write(self, features: Tensor, probabilities: Tensor) -> None:
        """Put features (B, D) and softmax outputs (B, C) at the next places."""
        size = len(self.features)
        places = next_places(self.place, len(features), size)[-size:]
        self.features[places] = features.detach()[-size:].to(self.features)
        self.probabilities[places] = probabilities.detach()[-size:].to(self.probabilities)
        self.place = (self.place + len(features)) % size


class KeyQueue(GrowingBuffers):
    """A key queue holds unit ``keys`` (Q, D) of the last images, and ``rows`` (Q,) whose each one is.

    All values are buffers, so a resumed run continues with them. ``start`` sets Q.
    """

    keys: Tensor
    rows: Tensor
    place: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("keys", torch.empty(0, width))
        self.register_buffer("rows", torch.empty(0, dtype=torch.int64))
        self.register_buffer("place", torch.tensor(0))

    def start(self, size: int, images: int, generator: torch.Generator) -> None:
        """Fill the queue with ``size`` random keys, each of a random one of ``images``."""
        keys = torch.randn(size, self.keys.shape[1], generator=generator)
        self.keys = F.normalize(keys, dim=1).to(self.keys)
        self.rows = torch.randint(images, (size,), generator=generator).to(self.rows)

    @torch.no_grad()
    def write(self, keys: Tensor, rows: Tensor) -> None:
        """Put keys (B, D) of the images ``rows`` (B,) at the next places."""
        size = len(self.keys)
        places = next_places(int(self.place), len(keys), size)[-size:]
        self.keys[places] = keys.detach()[-size:].to(self.keys)
        self.rows[places] = rows[-size:].to(self.rows)
        self.place = (self.place + len(keys)) % size


class LabelHistory(GrowingBuffers):
    """A label history holds the ``labels`` (N, T) that N images had in T epochs, and the ``slot`` that is written to.

    All values are buffers, so a resumed run continues with them. ``start`` sets N.
    """

    labels: Tensor
    slot: Tensor

    def __init__(self, epochs: int) -> None:
        super().__init__()
        self.register_buffer("labels", torch.empty(0, epochs, dtype=torch.int64))
        self.register_buffer("slot", torch.tensor(0))

    @property
    def is_started(self) -> bool:
        """Whether ``start`` has been called, in this run or in the one that is continued."""
        return len(self.labels) > 0

    def start(self, images: int, classes: int, generator: torch.Generator) -> None:
        """Fill the history with random labels."""
        shape = images, self.labels.shape[1]
        self.labels = torch.randint(classes, shape, generator=generator).to(self.labels)

    def record(self, rows: Tensor, labels: Tensor, epoch: int) -> None:
        """Write labels (B,) of ``rows`` (B,) to the slot. Afterwards the slot is that of ``epoch``, as in the code."""
        self.labels[rows, self.slot] = labels
        self.slot.fill_(epoch % self.labels.shape[1])

    def differ(self, rows: Tensor, others: Tensor) -> Tensor:
        """Return whether images ``rows`` (B,) and ``others`` (M,) had different labels in every slot, bool (B, M)."""
        found = torch.ones(len(rows), len(others), dtype=torch.bool, device=rows.device)
        for mine, theirs in zip(self.labels[rows].unbind(1), self.labels[others].unbind(1), strict=True):
            found &= mine[:, None] != theirs
        return found
