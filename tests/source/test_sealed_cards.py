"""Cards that are damaged, hostile or of another version are refused in a few words."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from sfda_kit.errors import UserError
from sfda_kit.source.source_card import load_card

from ..folders import rewrite_card, write_card


def damage(folder: Path, **changes: object) -> None:
    card = folder / "card.json"
    card.write_text(json.dumps({**json.loads(card.read_text()), **changes}))


def refusal(folder: Path) -> str:
    with pytest.raises(UserError) as caught:
        load_card(folder)
    return str(caught.value)


@pytest.mark.parametrize(
    "changes",
    [
        {"classes": ["square", "ring", "cross", "disc"]},
        {"mean": [0.4, 0.5, 0.5]},
        {"accuracy": 99.0},
        {"checksum": ""},
    ],
)
def test_a_card_that_was_edited_is_refused(tmp_path, changes):
    write_card(tmp_path)
    damage(tmp_path, **changes)
    assert "checksum does not fit" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"format": 1}, "sfda-kit 0.2 and earlier wrote format 1"),
        ({"format": 99}, "reads cards of format 2"),
        ({"accuracy": float("nan")}, "accuracy"),
        ({"accuracy": 101.0}, "accuracy"),
        ({"classes": []}, "classes"),
        ({"classes": ["ring", "ring"]}, "twice"),
        ({"classes": [f"class {number}" for number in range(60_000)]}, "at most 50000"),
        ({"classes": ["x" * 3_000_000]}, "larger than 2 MB"),
        ({"std": [0.0, 1.0, 1.0]}, "std.0"),
        ({"mean": [float("inf"), 0.5, 0.5]}, "mean.0"),
        ({"model": {"backbone": "test_resnet", "bottleneck": 10**12}}, "bottleneck"),
        ({"model": {"backbone": "x" * 100_000, "bottleneck": -1}}, "bottleneck"),
    ],
)
def test_values_that_no_model_has_are_refused_in_a_few_words(tmp_path, changes, said):
    write_card(tmp_path)
    damage(tmp_path, **changes)
    message = refusal(tmp_path)
    assert said in message and len(message) < 1000


def test_a_card_that_is_saved_again_is_read(tmp_path):
    write_card(tmp_path)
    rewrite_card(tmp_path, accuracy=12.5)
    assert load_card(tmp_path).accuracy == 12.5


def test_a_pipe_in_the_place_of_a_card_does_not_hang(tmp_path):
    os.mkfifo(tmp_path / "card.json")
    assert "no regular file" in refusal(tmp_path)
