"""SHOT++ holds the paper's terms and goes through both phases, stopped or not."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from sfda_kit_shot.shot import SHOT
from sfda_kit_shot.shot_plus_plus import SHOT_PLUS_PLUS

from sfda_kit import RecipeMethod
from sfda_kit.testing import RecipeConformance
from sfda_kit.testing.contexts import small_context

PHASES = ("rotation-head", "adapt", "labeling-transfer")


class TestShotPlusPlus(RecipeConformance):
    name = "shot-plus-plus"


def test_the_head_of_rotation_learns_first_and_alone() -> None:
    first = SHOT_PLUS_PLUS.phases[0]
    assert (first.name, first.train, first.labeler, first.length) == ("rotation-head", "none", None, 1.0)
    assert {name: part.weight for name, part in first.aligners.items()} == {"relative-rotation": 1.0}


def test_adaptation_is_shot_with_rotation() -> None:
    second, shot = SHOT_PLUS_PLUS.phases[1], SHOT.phases[0]
    assert {name: part.weight for name, part in second.aligners.items()} == {"infomax": 1.0, "relative-rotation": 0.6}
    assert (second.labeler, second.train) == (shot.labeler, shot.train)


def test_the_last_phase_learns_from_easy_to_hard_with_a_new_classifier() -> None:
    last = SHOT_PLUS_PLUS.phases[2]
    assert last.labeler is not None
    assert (last.labeler.name, last.labeler.weight) == ("entropy-split", 0)
    assert {name: part.weight for name, part in last.aligners.items()} == {"mixmatch": 1.0}
    assert (last.train, last.new_classifier) == ("backbone+bottleneck+classifier", True)


@pytest.mark.parametrize("stop", [1, 2, 3, 4, 5])
def test_resumed_after_any_epoch_it_is_the_same_bit_for_bit(tmp_path: Path, stop: int) -> None:
    def epochs(folder: str) -> list[tuple[str, int, torch.Tensor]]:
        folder_path = tmp_path / folder
        folder_path.mkdir(exist_ok=True)
        context = small_context(folder_path, recipe=SHOT_PLUS_PLUS)
        found = []
        for state in RecipeMethod().adapt(context):
            found.append((state.phase, state.epoch, state.bank.logits))
            if folder == "stopped" and len(found) > stop and not (folder_path / "again").exists():
                (folder_path / "again").touch()
                break
        return found

    whole = epochs("whole")
    assert [row[:2] for row in whole] == [(p, e) for p in PHASES for e in (1, 2)]
    epochs("stopped")
    resumed = epochs("stopped")
    assert 0 < len(resumed) < len(whole)
    assert torch.equal(resumed[-1][2], whole[-1][2])
