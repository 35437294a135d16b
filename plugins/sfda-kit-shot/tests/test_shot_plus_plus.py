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


class TestShotPlusPlus(RecipeConformance):
    name = "shot-plus-plus"


def test_the_first_phase_is_shot_with_rotation() -> None:
    first, shot = SHOT_PLUS_PLUS.phases[0], SHOT.phases[0]
    assert {name: part.weight for name, part in first.aligners.items()} == {"infomax": 1.0, "relative-rotation": 0.6}
    assert (first.labeler, first.train) == (shot.labeler, shot.train)


def test_the_second_phase_learns_from_easy_to_hard() -> None:
    second = SHOT_PLUS_PLUS.phases[1]
    assert second.labeler is not None
    assert (second.labeler.name, second.labeler.weight) == ("entropy-split", 0)
    assert {name: part.weight for name, part in second.aligners.items()} == {"mixmatch": 1.0}


@pytest.mark.parametrize("stop", [1, 2, 3])
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
    assert [row[:2] for row in whole] == [(p, e) for p in ("adapt", "labeling-transfer") for e in (1, 2)]
    epochs("stopped")
    resumed = epochs("stopped")
    assert 0 < len(resumed) < len(whole)
    assert torch.equal(resumed[-1][2], whole[-1][2])
