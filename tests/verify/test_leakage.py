"""Notices on leakage: files that tell their class without content, and TI pictures beside TR pictures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sfda_kit.verify.leakage import _mean_over_groups, told_from
from sfda_kit.verify.report import Report


def codes(report: Report) -> dict[str, str]:
    return {one.code: one.what for one in report.findings}


def test_a_value_that_tells_the_class_is_found_and_noise_is_not():
    rng = np.random.default_rng(0)
    labels, groups = np.arange(200) % 4, np.arange(200) // 4 % 25
    noise = rng.normal(size=(200, 3))
    assert told_from(noise, labels, groups) is None
    found = told_from(noise + [[0, 0, 8]] * labels[:, None], labels, groups)
    assert found is not None and found[0] > 0.9 and found[1] == 0.25


def test_a_value_that_tells_the_group_alone_is_no_leak():
    """Each group is of one class and has a value of its own: on other groups it says nothing."""
    rng = np.random.default_rng(1)
    groups = np.arange(400) // 10
    labels = rng.integers(0, 4, 40)[groups]
    values = rng.normal(size=40)[groups, None] * [[1.0, 1.0, 1.0]]
    assert told_from(values, labels, groups) is None


def test_few_groups_one_class_and_equal_files_are_not_judged():
    values, labels = np.random.default_rng(2).normal(size=(60, 3)), np.arange(60) % 2
    assert told_from(values + labels[:, None] * 9.0, labels, np.arange(60) % 19) is None
    assert told_from(values, np.zeros(60, dtype=int), np.arange(60) % 30) is None
    assert told_from(np.ones((60, 3)), labels, np.arange(60) % 30) is None
    assert told_from(np.zeros((0, 3)), labels[:0], labels[:0]) is None


def test_the_standard_error_is_that_of_sums_over_groups():
    """Groups of sums 2 and 0 around a mean of 0.5: deviations 1 and -1, times 2 / (2 - 1), over 4 values."""
    mean, error = _mean_over_groups(np.array([1.0, 1.0, 0.0, 0.0]), np.array([0, 0, 1, 1]))
    assert (mean, error) == (0.5, pytest.approx(np.sqrt(2 * (1 + 1)) / 4))


def test_the_share_of_ti_pictures_beside_tr_pictures(clean: Path, verified: Callable[..., Report]):
    """Every group of the clean set has a picture of each class, so all four TI pictures lie beside TR pictures."""
    report = verified(clean, tr_classes=("bar", "disc"), ti_classes=("stripe",), deep=False)
    assert codes(report)["ti-beside-tr"] == "4 of 4 TI pictures (100%) are in groups that also hold TR pictures"
    assert not report.errors and "ti-beside-tr" not in codes(verified(clean, deep=False))


def test_classes_that_were_saved_at_other_brightness_are_noticed(tmp_path: Path, verified: Callable[..., Report]):
    rng = np.random.default_rng(0)
    lines = ["stem,group"]
    for kind, name in enumerate(("cat", "dog")):
        for number in range(24):
            for modality in ("rgb", "depth"):
                folder = tmp_path / "cam" / modality / name
                folder.mkdir(parents=True, exist_ok=True)
                noise = rng.integers(0, 60, (24, 32, 3), dtype=np.uint8)
                pixels = noise + np.uint8(90 * kind) if modality == "rgb" else noise[..., 0].astype(np.uint16) + 900
                Image.fromarray(pixels).save(folder / f"{name}{number}.png")
            lines.append(f"{name}{number},room{number}")
    (tmp_path / "groups.csv").write_text("\n".join(lines) + "\n")
    report = verified(tmp_path, tr_classes=("cat", "dog"), ti_classes=(), workers=0)
    (found,) = [one for one in report.findings if one.code == "class-without-content"]
    assert "a file alone tell the class of 100% of the rgb pictures" in found.what
    assert found.rule.severity == "notice" and not report.errors
