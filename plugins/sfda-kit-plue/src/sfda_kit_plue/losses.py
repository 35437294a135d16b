"""The formulas of PLUE (``plue.py``), each in one function."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from sfda_kit import UserError, check_shapes, entropy, positive_temperature, without_autocast


@torch.no_grad()
def neighbour_labels(
    features: Tensor, bank_features: Tensor, bank_probabilities: Tensor, neighbors: int = 10
) -> tuple[Tensor, Tensor]:
    """Return labels y, int64 (B,), and weights w, (B,) in [1/e, 1], of images with ``features`` (B, D).

    The bank holds features (M, D), of any length, and softmax outputs (M, C) of other moments. With v_i, the mean
    softmax of the ``neighbors`` K entries of the bank that are nearest to i by cosine, y_i = argmax v_i and w_i =
    exp(-H(v_i) / log C). No gradient flows. Raises ``UserError`` for other shapes, and unless K is from 1 to M and
    there are two classes or more. Source: PLUE, CVPR 2023 (https://arxiv.org/abs/2303.03770), section 3.
    """
    check_shapes(
        "neighbour_labels",
        features=(features, "B D"),
        bank_features=(bank_features, "M D"),
        bank_probabilities=(bank_probabilities, "M C"),
    )
    _require_classes(bank_probabilities.shape[1], "neighbour_labels")
    if not 1 <= neighbors <= len(bank_features):
        raise UserError(f"neighbour_labels: neighbors is {neighbors}, expected from 1 to {len(bank_features)} entries.")
    with without_autocast(features.device):
        vote = neighbour_vote(features, bank_features, bank_probabilities, neighbors)
    return vote.argmax(dim=1), certainty(vote)


def draw_complementary_labels(labels: Tensor, classes: int, generator: torch.Generator) -> Tensor:
    """Return a class other than the label for each of ``labels``, int64 (B,), all of them equally likely, int64 (B,).

    ``generator`` is on the CPU. Raises ``UserError`` for another shape and with less than two ``classes``.
    """
    check_shapes("draw_complementary_labels", labels=(labels, "B"))
    _require_classes(classes, "draw_complementary_labels")
    return negative_classes(labels, draw_offsets(len(labels), classes, generator).to(labels.device), classes)


def plue_loss(
    weak_logits: Tensor,
    strong_logits: Tensor,
    complementary_labels: Tensor,
    weights: Tensor,
    contrast: Tensor | None = None,
    diversity: float = 1.0,
) -> Tensor:
    """Return L_cls + ``contrast`` + ``diversity`` (L_div(s) + L_div(p)) in nats, 0-d.

    ``weak_logits`` and ``strong_logits`` (B, C) answer a weak and a strong view of the same images; s and p are their
    softmaxes. ``complementary_labels`` c, int64 (B,), say what an image is not (``draw_complementary_labels``), and
    ``weights`` w (B,) come from ``neighbour_labels``. ``contrast`` is the weighted ``contrastive_loss``.

        L_cls    = - mean_i w_i log(clamp(1 - p_i,c_i, 1e-5, 1))
        L_div(s) = sum_k s-_k log(s-_k + 1e-8),  s- = mean_i s_i

    Raises ``UserError`` for other shapes. Source: PLUE, CVPR 2023 (https://arxiv.org/abs/2303.03770), section 3.
    """
    check_shapes(
        "plue_loss",
        weak_logits=(weak_logits, "B C"),
        strong_logits=(strong_logits, "B C"),
        complementary_labels=(complementary_labels, "B"),
        weights=(weights, "B"),
    )
    loss = negative_learning(strong_logits, complementary_labels, weights)
    if contrast is not None:
        loss = loss + contrast
    return loss + diversity * (concentration(weak_logits) + concentration(strong_logits))


def contrastive_loss(
    queries: Tensor, keys: Tensor, queue: Tensor, is_negative: Tensor, temperature: float = 0.07
) -> Tensor:
    """Return L_ctr >= 0 in nats, 0-d, for unit ``queries`` q and ``keys`` k (B, D) of two views of the same images.

    ``queue`` z (Q, D) holds unit keys of earlier images; where ``is_negative``, bool (B, Q), they count:

        L_ctr = - mean_i log( e^(q_i k_i / t) / (e^(q_i k_i / t) + sum_j e^(q_i z_j / t)) )

    It is computed in full precision. Raises ``UserError`` for other shapes and unless ``temperature`` t is greater than
    0. Source: PLUE, CVPR 2023 (https://arxiv.org/abs/2303.03770), section 3.
    """
    check_shapes(
        "contrastive_loss",
        queries=(queries, "B D"),
        keys=(keys, "B D"),
        queue=(queue, "Q D"),
        is_negative=(is_negative, "B Q"),
    )
    positive_temperature(temperature, "contrastive_loss")
    with without_autocast(queries.device):
        positive = (queries * keys).sum(dim=1, keepdim=True)
        others = (queries @ queue.T).masked_fill(~is_negative, -torch.inf)
        return -(torch.cat([positive, others], dim=1) / temperature).log_softmax(dim=1)[:, 0].mean()


def _require_classes(classes: int, function: str) -> None:
    if classes < 2:
        raise UserError(f"{function}: there are {classes} classes, expected two or more.")


def neighbour_vote(features: Tensor, others: Tensor, answers: Tensor, count: int) -> Tensor:
    """Return v (B, C), the mean softmax of the ``count`` images whose features are nearest to each of ``features``.

    ``features`` (B, D) and ``others`` (M, D) may have any length, because cosines are compared; ``answers`` (M, C).
    """
    similarity = F.normalize(features, dim=1) @ F.normalize(others, dim=1).T
    return answers[similarity.topk(count, dim=1).indices].mean(dim=1)


def certainty(vote: Tensor) -> Tensor:
    """Return w = exp(-H / log C), (B,), for votes (B, C): 1 where one class is certain, 1/e where all are equal."""
    return (-entropy(vote, epsilon=1e-5) / math.log(vote.shape[1])).exp()


def draw_offsets(count: int, classes: int, generator: torch.Generator) -> Tensor:
    """Draw ``count`` numbers from 1 to ``classes`` - 1, all of them equally likely, int64 (count,)."""
    return torch.randint(1, classes, (count,), generator=generator)


def negative_classes(labels: Tensor, offsets: Tensor, classes: int) -> Tensor:
    """Return the class that lies ``offsets`` (B,) after each label (B,), int64 (B,); after the last comes the first."""
    return (labels + offsets) % classes


def negative_learning(logits: Tensor, wrong: Tensor, weights: Tensor) -> Tensor:
    """Return - mean_i w_i log(clamp(1 - p_i,c_i, 1e-5, 1)), 0-d, for logits (B, C), ``wrong`` c and weights w (B,)."""
    certain = logits.softmax(dim=1).gather(1, wrong[:, None])[:, 0]
    return -(weights * (1 - certain).clamp(1e-5, 1).log()).mean()


def concentration(logits: Tensor) -> Tensor:
    """Return sum_c q_c log(q_c + 1e-8), 0-d, with q the mean softmax of logits (B, C): least where all are equal."""
    return -entropy(logits.softmax(dim=1).mean(dim=0), epsilon=1e-8)
