"""Sets of plugins that are no folders of files: what their interface tells is checked."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest

from sfda_kit.config.models import DatasetConfig
from sfda_kit.errors import DataError
from sfda_kit.interfaces.dataset import Dataset, Index, Split
from sfda_kit.verify.dataset import Request, verify
from sfda_kit.verify.foreign import look_at_foreign
from sfda_kit.verify.report import Report


class Pictures(Dataset):
    summary, modalities = "twelve pictures of a plugin", ("rgb", "depth")

    def index(self):
        return Index(
            names=[f"scene {row}" for row in range(12)],
            domain=np.zeros(12, np.int16),
            label=np.arange(12, dtype=np.int16) % 2,
            group=np.arange(12, dtype=np.int32),
            part=np.full(12, -1, np.int8),
            domains=("cam",),
            classes=("cat", "dog"),
        )

    def splits(self):
        return {"default": Split(("cat", "dog"), ())}

    def read(self, rows, modality, size):
        shape = (size, size, 3) if modality == "rgb" else (size, size)
        scale = 1 if modality == "rgb" else 20
        pictures = [scale * np.random.default_rng([row, size]).integers(1, 200, shape) for row in rows]
        return np.stack(pictures).astype(np.uint8 if modality == "rgb" else np.uint16)

    def fingerprint(self):
        return "12"


class Broken(Pictures):
    def read(self, rows, modality, size):
        if modality == "depth" and 7 in rows:
            raise DataError("scene 7 is gone. Fetch it again.")
        pixels = super().read(rows, modality, size)
        for number, row in enumerate(rows):
            if row == 3:
                pixels[number] = 0 if modality == "depth" else 9
            if row == 5:
                pixels[number] = super().read(np.array([4]), modality, size)[0]
        return pixels

    def bad_rows(self, modalities):
        return {1: "is torn. Mend it."}


def look(kind: type[Dataset], deep: bool = True) -> Report:
    report = Report("plugin", "", deep)
    look_at_foreign(kind(DatasetConfig(name="plugin")), report, lambda what, done, total: None)
    return report


def test_a_clean_set_has_nothing_to_say():
    report = look(Pictures)
    assert not report.findings and report.samples == 12 and report.classes == ("cat", "dog")


def test_what_cannot_be_read_or_shows_nothing_is_told():
    found = {(one.code, one.path) for one in look(Broken).findings}
    assert found == {
        ("unusable-file", "scene 1"),
        ("unusable-file", "scene 3 (depth)"),
        ("constant", "scene 3 (rgb)"),
        ("duplicate-across-classes", "scene 5 (rgb)"),
        ("duplicate-across-classes", "scene 5 (depth)"),
        ("unusable-file", "scene 7 (depth)"),
    }


class Alike(Pictures):
    """Scene 5 is scene 4 saved anew, in another part of the split; depth is in centimetres and mostly missing once."""

    def index(self):
        index = super().index()
        return replace(index, label=index.label * 0, part=(np.arange(12) % 2 + 1).astype(np.int8), classes=("cat",))

    def read(self, rows, modality, size):
        pixels = super().read(rows, modality, size)
        for number, row in enumerate(rows):
            if row == 5:
                pixels[number] = super().read(np.array([4]), modality, size)[0] + (1 if modality == "rgb" else 50)
        if modality == "depth":
            pixels //= 40
            pixels[rows == 2, 4:] = 0
        return pixels


def test_images_that_look_the_same_and_depth_that_cannot_be_are_told():
    report = look(Alike)
    found = {(one.code, one.path): one for one in report.findings}
    near = found["near-duplicate", "scene 5 (rgb)"]
    assert "looks like scene 4 (rgb) (target-test and target-train" in near.what
    assert ("near-duplicate", "scene 5 (depth)") in found
    assert "misses" in found["mostly-missing", "scene 2 (depth)"].what
    doubt = found["doubtful-unit", "."]
    assert "at 0.0" in doubt.what and "millimetres; tell its authors" in doubt.remedy
    assert not report.errors


class TooFew(Pictures):
    def read(self, rows, modality, size):
        return super().read(rows, modality, size)[: 1 if modality == "rgb" else 0]


def test_a_loader_that_returns_too_few_images():
    found = [one for one in look(TooFew).findings if one.code == "unusable-file"]
    assert [one.path for one in found] == [f"scene {row} (depth)" for row in range(12)]
    assert found[0].what.endswith("returned depth pixels uint16 (0, 64, 64); expected uint16 (1, 64, 64)")
    assert "authors" in found[0].remedy


@pytest.fixture
def changing(monkeypatch):
    """``data verify pictures`` of a set in memory whose pixels, names or labels the test may change."""

    class Changing(Pictures):
        torn: ClassVar[set[int]] = set()
        other: ClassVar[set[int]] = set()

        def read(self, rows, modality, size):
            return super().read(np.array([row + 100 * (row in self.other) for row in rows]), modality, size)

        def bad_rows(self, modalities):
            return dict.fromkeys(self.torn, "is torn. Mend it.")

    component = SimpleNamespace(load=lambda: Changing)
    monkeypatch.setattr(
        "sfda_kit.plugins.discovery.registry", lambda: SimpleNamespace(get=lambda kind, name: component)
    )

    def call(**changes):
        return verify(Request(DatasetConfig(name="pictures"), **changes))

    return Changing, call


def test_the_manifest_of_rows(changing, tmp_path):
    kind, call = changing
    first = call()
    assert first.manifest_written and not first.errors
    files = json.loads(first.manifest.read_text())["files"]
    assert len(files) == 24 and files["scene 3 (depth)"]["bytes"] == 2 * 64 * 64
    again = call()
    assert not again.errors and not again.manifest_written
    kind.other, kind.torn = {3}, {4}
    told = [(one.code, one.path) for one in call().findings if one.rule.severity == "error"]
    assert sorted(told) == [
        ("changed", "scene 3 (depth)"),
        ("changed", "scene 3 (rgb)"),
        ("unusable-file", "scene 4"),
    ]
    assert call(deep=False).manifest is None
    kind.torn = set()
    assert call(fix_manifest=True).manifest_written and not call().errors
    assert call(manifest=tmp_path / "elsewhere.json").manifest_written and (tmp_path / "elsewhere.json").is_file()


def test_quick_reads_nothing():
    assert {(one.code, one.path) for one in look(Broken, deep=False).findings} == {("unusable-file", "scene 1")}


class Contradicting(Pictures):
    def index(self):
        index = super().index()
        names = ["same"] * 12
        return Index(names, index.domain, index.label[:5], index.group, index.part, ("cam",), ("cat", "dog", "cow"))

    def splits(self):
        return {"default": Split(("cat", "dog"), ("dog",))}


def test_an_index_that_contradicts_itself():
    said = [one.what for one in look(Contradicting, deep=False).findings]
    assert any("12 names and 5 entries of label" in text for text in said)
    assert any("names samples twice" in text for text in said) and any("has no sample" in text for text in said)
    assert any("both TR and TI" in text for text in said)


def test_rendered_rooms_are_not_rendered_for_a_check(sfda_kit):
    result = sfda_kit("data", "verify", "rooms")
    assert result.exit_code == 0 and "only its index was checked" in result.stdout
