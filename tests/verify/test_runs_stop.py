"""What ``data verify`` calls an error stops a run before it trains, or ``--skip-bad`` leaves it out and records it."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from sfda_kit.builtin.encodings import ChannelCopy
from sfda_kit.config.models import DatasetConfig
from sfda_kit.data.copies import copies_of
from sfda_kit.data.open_views import ViewOpener
from sfda_kit.data.task import Task, build_task
from sfda_kit.datasets.twins import TWINS
from sfda_kit.errors import SfdaKitError
from sfda_kit.plugins.discovery import registry

from .test_hostile_pairs import ERRORS, NOTICES, RGB
from .test_hostile_sets import BROKEN, twins  # noqa: F401  (a fixture)

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")]
DIRECTIONS = (("rgb@cam", "depth@cam"), ("depth@cam", "rgb@cam"))
"""A half that one task does not read is read by the other."""

PASSED_OVER = {
    "link to a folder above": "",
    "link to the root as a class": "class 'whole' left out",
    "link to the whole disk": "class 'disk' left out",
    "empty class": "class 'ring' left out",
    "one image in two classes": "",  # in the two classes of one part
    "rotated in one half only": "",  # only verification compares the halves
}
"""What a run does without, and what its record says of that."""

NO_SAMPLE_OF_ITS_OWN = {
    "name that is not UTF-8",
    "two files of one stem",
    "groups without columns",
    "groups empty",
    "groups with a blank",
    "groups that contradict",
    "groups that are no text",
}
"""Nothing that ``--skip-bad`` could leave out."""


def opened(root: Path, source: str, target: str, skip_bad: bool = False, **changes: object) -> Task:
    """The task, with everything read that a run reads before it trains."""
    told = {"source": source, "target": target, "tr_classes": ("bar", "disc"), "ti_classes": ("stripe",)}
    wanted = DatasetConfig(
        **{"name": "paired-folder", "minimum_images": 0, **told, **changes}, root=root, skip_bad=skip_bad
    )
    task = build_task(registry().get("dataset", wanted.name).load()(wanted), wanted)
    opener = ViewOpener(task, ChannelCopy(), 16, torch.device("cpu"))
    opener.read_target()
    return task


def refusals(root: Path) -> list[str]:
    """What the tasks in both directions say where they stop."""
    said = []
    for source, target in DIRECTIONS:
        try:
            opened(root, source, target)
        except SfdaKitError as error:
            said.append(str(error))
    return said


@pytest.mark.parametrize("name", sorted(set(ERRORS) - set(PASSED_OVER)))
def test_an_error_stops_a_run_or_is_left_out_and_recorded(own, name):
    path = ERRORS[name][0](own)
    said = refusals(own)
    assert said and all(Path(path).stem.encode(errors="backslashreplace").decode() in text for text in said)
    if name in NO_SAMPLE_OF_ITS_OWN:
        with pytest.raises(SfdaKitError):
            opened(own, *DIRECTIONS[0], skip_bad=True)
        return
    notices = [notice for one in DIRECTIONS for notice in opened(own, *one, skip_bad=True).notices]
    assert any(notice.startswith("left out") and Path(path).stem in notice for notice in notices), notices


@pytest.mark.parametrize("name", PASSED_OVER)
def test_what_a_run_does_without(own, clean, name):
    ERRORS[name][0](own)
    for direction in DIRECTIONS:
        task, whole = opened(own, *direction), opened(clean, *direction)
        assert {part: len(rows) for part, rows in task.rows.items()} == {
            part: len(rows) for part, rows in whole.rows.items()
        }
        assert any(PASSED_OVER[name] in notice for notice in (*task.notices, ""))


@pytest.mark.parametrize("name", NOTICES)
def test_a_notice_stops_no_run_and_nothing_is_written_among_the_data(own, name):
    NOTICES[name][0](own)
    before = sorted(own.rglob("*"))
    for direction in DIRECTIONS:
        assert len(opened(own, *direction).rows["target-test"])
    assert sorted(own.rglob("*")) == before


@pytest.mark.parametrize("name", sorted(set(BROKEN) - {"rgb-nir: one image in two categories"}))
def test_broken_sets_are_refused_when_read_or_left_out_and_recorded(twins, tmp_path, name):  # noqa: F811
    layout, breaks, _ = BROKEN[name]
    own = Path(shutil.copytree(twins(layout), tmp_path / "own"))
    path = breaks(own)
    words = TWINS[layout].flags.split()
    sensors = {word.removeprefix("--"): words[words.index(word) + 1] for word in ("--source", "--target")}
    kind = registry().get("dataset", layout).load()
    with pytest.raises(SfdaKitError) as stopped:
        dataset = kind(DatasetConfig(name=layout, root=own, **sensors))
        index = dataset.index()
        for modality in dataset.modalities:
            dataset.read(np.arange(len(index.names)), modality, 8)
    assert path.name in str(stopped.value)
    skipping = kind(DatasetConfig(name=layout, root=own, skip_bad=True, **sensors))
    told = [*skipping.index().notices, *skipping.bad_rows(skipping.modalities).values()]
    assert any(path.name in one for one in told), told


def test_held_out_copies_are_named_with_what_to_do(own):
    ERRORS["one image in all parts"][0](own)
    (said,) = refusals(own)
    assert said.startswith("1 of 2 held-out images are not unseen:")
    assert "is held out and the same as cam/rgb/bar/bar" in said and "(target-train)" in said
    assert "put them into one group" in said and "--skip-bad" in said
    task = opened(own, *DIRECTIONS[1], skip_bad=True)
    assert len(task.rows["target-test"]) == 1
    (told,) = [notice for notice in task.notices if "is held out and the same as" in notice]
    assert told.startswith("left out (--skip-bad): ")


def test_copies_in_one_group_are_none_across_parts(own):
    ERRORS["one image in all parts"][0](own)
    table = (own / "groups.csv").read_text()
    (own / "groups.csv").write_text(table.replace("room1", "room0").replace("room2", "room0").replace("room3", "room0"))
    with pytest.raises(SfdaKitError, match="a split never cuts a group"):
        opened(own, *DIRECTIONS[1])  # one group is in one part alone


def test_copies_of_images_of_the_source_count_where_both_have_one_modality(own):
    same = ("rgb@cam", "rgb@cam")
    task = opened(own, *same)
    held, trained = (task.dataset.image_files(task.rows[part], "rgb").files[0] for part in ("target-test", "source"))
    shutil.copy(own / trained, own / held)
    with pytest.raises(SfdaKitError, match=r"the same as .*\(source\)"):
        opened(own, *same)
    assert copies_of(task.dataset, task.rows, "depth", "rgb") == {}


def test_files_of_one_size_with_the_same_middle_are_not_the_same(own):
    for path in (own / "cam/rgb").rglob("*.png"):
        pixels = np.full((200, 200, 3), 7, np.uint8)
        pixels[0, 0] = np.frombuffer(path.stem.encode().ljust(3, b"0"), np.uint8)[-3:]
        path.unlink()
        np.save(path.with_suffix(".npy"), pixels)
    assert refusals(own) == []


def test_all_held_out_images_may_be_copies(own):
    for path in (own / "cam/rgb").rglob("*.png"):
        if path != own / RGB:
            shutil.copy(own / RGB, path)
    with pytest.raises(SfdaKitError, match="Every held-out image is in another part too"):
        opened(own, *DIRECTIONS[1], skip_bad=True)
