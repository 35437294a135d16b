"""T3A's support sets against the numbers that its authors' code gives."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from .golden import cases, close, load

pytestmark = pytest.mark.needs_plugin("sfda-kit-tta")
SLIP = "k7_minus_one"


def given(name: str, dtype: torch.dtype) -> tuple[nn.Linear, Tensor, int | None, int]:
    """The classifier, the features, the number of supports (None: no limit) and the batch of a case."""
    case = load("t3a", name)
    weight, bias, features = (torch.from_numpy(case[f"in_{key}"]).to(dtype) for key in ("weight", "bias", "features"))
    classifier = nn.Linear(*reversed(weight.shape), dtype=dtype)
    classifier.load_state_dict({"weight": weight, "bias": bias})
    support = int(case["in_support"])
    return classifier, features, support if support > 0 else None, int(case["in_batch"])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["single", "double"])
@pytest.mark.parametrize("name", [name for name in cases("t3a") if name != SLIP])
def test_supports_and_answers(name: str, dtype: torch.dtype) -> None:
    from sfda_kit_tta.t3a import SupportSets

    case, double = load("t3a", name), dtype is torch.float64
    end = "_f64" if double else ""
    classifier, features, support, batch = given(name, dtype)
    sets = SupportSets(classifier, support)
    close(sets.labels, case["out_first_labels"], double)
    close(sets.entropies, case[f"out_first_entropies{end}"], double)
    answers = []
    for number, some in enumerate(torch.split(features, batch)):
        sets.add(some, classifier(some).detach())
        order = torch.from_numpy(np.lexsort((sets.entropies.numpy(), sets.labels.numpy())))
        close(sets.labels[order], case[f"out_support_labels_{number}"], double)
        close(sets.features[order], case[f"out_supports_{number}{end}"], double)
        close(sets.entropies[order], case[f"out_support_entropies_{number}{end}"], double)
        answers.append(some @ sets.means().T)
    close(torch.cat(answers), case[f"out_answers{end}"], double)
    close(torch.cat(answers).argmax(1), case["out_predictions"], double)


def test_all_supports_are_kept_where_the_published_code_drops_some() -> None:
    from sfda_kit_tta.t3a import SupportSets

    classifier, features, support, batch = given(SLIP, torch.float64)
    assert support is None
    sets = SupportSets(classifier, support)
    for some in torch.split(features, batch):
        sets.add(some, classifier(some).detach())
    assert len(sets.labels) == len(features) + classifier.out_features
    assert len(load("t3a", SLIP)["out_support_labels_2"]) < len(sets.labels)
