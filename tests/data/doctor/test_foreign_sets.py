"""Sets of plugins that are no folders of files: what their interface tells is checked."""

from __future__ import annotations

import numpy as np

from sfda_kit.config import DatasetConfig
from sfda_kit.data.doctor.foreign import look_at_foreign
from sfda_kit.data.doctor.report import Report
from sfda_kit.errors import DataError
from sfda_kit.interfaces.dataset import Dataset, Index, Split


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
        pictures = [np.random.default_rng([row, size]).integers(1, 200, shape) for row in rows]
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
        ("unusable-file", "scene 3"),
        ("constant", "scene 3"),
        ("duplicate-across-classes", "scene 5"),
        ("unusable-file", "scene 7"),
    }


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
