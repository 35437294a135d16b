"""Folds: who is held out when, what a file refuses, and the two protocols."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import Result

from sfda_kit.bench.cells import expand
from sfda_kit.bench.suite import checked_suite
from sfda_kit.config.loading import load_config
from sfda_kit.config.models import DatasetConfig
from sfda_kit.data.fold_file import FoldFile, parse_folds, read_folds, shipped_folds
from sfda_kit.data.fold_making import make_folds
from sfda_kit.data.task import Task, build_task
from sfda_kit.errors import DataError, UserError
from sfda_kit.interfaces.dataset import Dataset, Index, Split

CLASSES = ("bed", "chair", "door", "sofa")
TR = ("bed", "chair", "sofa")


class Rooms(Dataset):
    """Forty rooms with chairs in each, beds in every third, sofas in nine of them, and doors, which are TI."""

    summary, modalities = "rooms without pictures", ("rgb", "depth")
    rooms, more = 40, 0

    def index(self) -> Index:
        rows = [("chair", room) for room in range(self.rooms) for _ in range(2 + room % 3)]
        rows += [("bed", room) for room in range(0, self.rooms, 3)] + [("sofa", room) for room in range(1, 37, 4)]
        rows += [("door", room) for room in range(self.rooms)] + [("chair", 7)] * self.more
        label = np.array([CLASSES.index(name) for name, _ in rows], np.int16)
        group = np.array([room for _, room in rows], np.int32)
        names = [f"front/{name}/{room}-{number}" for number, (name, room) in enumerate(rows)]
        zeros = np.zeros(len(rows), np.int16)
        return Index(names, zeros, label, group, np.full(len(rows), -1, np.int8), ("front",), CLASSES)

    def splits(self) -> dict[str, Split]:
        return {"default": Split(TR, ("door",))}

    def read(self, rows: np.ndarray, modality: str, size: int) -> np.ndarray:
        raise NotImplementedError

    def fingerprint(self) -> str:
        return "rooms"

    def group_name(self, row: int) -> str:
        return f"room {self.index().group[row]}"


def config(root: Path | None = None, **changes: object) -> DatasetConfig:
    sensors = {"source": "rgb@front", "target": "depth@front", "minimum_images": 1}
    return DatasetConfig(name="folds", root=root, **{**sensors, **changes})


def made(**changes: object) -> FoldFile:
    dataset = Rooms(config())
    return make_folds(dataset, dataset.index(), TR, "rooms", **changes)


def folder(tmp_path: Path, file: FoldFile) -> Path:
    (tmp_path / "folds.json").write_text(file.text())
    return tmp_path


def task(root: Path | None, dataset: type[Rooms] = Rooms, **changes: object) -> Task:
    asked = config(root, **changes)
    return build_task(dataset(asked), asked)


def test_each_group_is_held_out_once_in_a_repetition_and_every_part_has_every_class():
    file = made(repeats=2)
    assert file.count == 8
    for group in file.groups.values():
        assert [group.parts[start : start + 4].count("h") for start in (0, 4)] == [1, 1]
    for fold in range(file.count):
        held: dict[str, set[str]] = defaultdict(set)
        for group in file.groups.values():
            held[group.parts[fold]] |= set(group.classes)
        assert all(set(TR) <= held[part] for part in "sth")
        shares = {part: sum(g.parts[fold] == part for g in file.groups.values()) / 40 for part in "sth"}
        assert shares["h"] == pytest.approx(0.25, abs=0.1) and shares["s"] == pytest.approx(0.45, abs=0.12)
    assert len({tuple(group.parts[4 * k : 4 * k + 4] for group in file.groups.values()) for k in range(2)}) == 2


def test_the_same_seed_gives_the_same_bytes_and_the_text_is_read_back():
    one = made(repeats=1)
    assert one.text() == made(repeats=1).text() != made(repeats=1, seed=1).text()
    assert parse_folds(one.text(), "here") == one


def test_a_task_on_a_fold_shares_no_group_and_no_pair_is_held_out(tmp_path: Path):
    root = folder(tmp_path, made())
    held_out = set()
    for fold in range(4):
        found = task(root, fold=fold)
        source, train, test = (set(found.groups(part)) for part in ("source", "target-train", "target-test"))
        assert not (source & train or source & test or train & test)
        pairs = set(found.groups("ti"))
        assert not pairs & test and pairs & source and pairs & train
        assert found.folds == {**found.folds, "fold": fold, "folds": 4, "name": "rooms"}
        held_out |= test
        apart = task(root, fold=fold, ti_groups="target-train")
        assert set(apart.groups("ti")) == pairs & train
        assert apart.fingerprint != found.fingerprint
    assert held_out == set(range(40))


def test_ti_pairs_of_target_groups_alone_without_folds():
    found = task(None, ti_groups="target-train")
    assert set(found.groups("ti")) <= set(range(40)) - set(found.groups("source")) - set(found.groups("target-test"))


def test_a_changed_file_is_refused(tmp_path: Path):
    edited = json.loads(made().text())
    edited["groups"]["room 3"]["parts"] = "s" * 20
    with pytest.raises(DataError, match=r"sha256 is .*content gives .*changed after it was made"):
        parse_folds(json.dumps(edited), "here")
    del edited["groups"]["room 3"]["parts"]
    with pytest.raises(DataError, match=r"here: no folds .*groups\.room 3\.parts: Field required"):
        parse_folds(json.dumps(edited), "here")


def test_other_data_are_refused_with_the_difference(tmp_path: Path):
    root = folder(tmp_path, made())

    class More(Rooms):
        more = 2

    class Fewer(Rooms):
        rooms = 39

    class Renamed(Rooms):
        def index(self) -> Index:
            index = super().index()
            return Index(
                [f"{name}x" if "/0-" in name else name for name in index.names], *list(vars(index).values())[1:]
            )

    with pytest.raises(DataError, match=r"group 'room 7', samples by class \(folds -> disk\): chair 3 -> 5"):
        task(root, More, fold=0)
    with pytest.raises(DataError, match="group 'room 39' is in the folds and not on the disk"):
        task(root, Fewer, fold=0)
    with pytest.raises(DataError, match=r"group 'room 0' lacks 'front/.*/0-.*' and has 'front/.*/0-.*x'"):
        task(root, Renamed, fold=0)


def test_a_fold_that_is_not_there(tmp_path: Path):
    with pytest.raises(UserError, match=r"holds no folds.*nirscene-tiles-v1"):
        task(tmp_path, fold=0)
    with pytest.raises(UserError, match=r"no fold 20 in rooms; it has the folds 0 to 19"):
        task(folder(tmp_path, made()), fold=20)
    with pytest.raises(UserError, match="no shipped folds 'nyuv2-objects'"):
        read_folds("nyuv2-objects", None)


def test_too_few_groups_are_told():
    with pytest.raises(DataError, match="40 groups, too few for 38 folds"):
        made(folds=38)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"folds": "nyuv2-objects-v1"}, "folds are named without a fold"),
        ({"fold": 0, "shares": (0.5, 0.3, 0.2)}, "shares have no effect"),
        ({"protocol": "paper", "fold": 0}, "has no fold"),
        ({"folds": "../folds", "fold": 0}, "pattern"),
    ],
)
def test_settings_that_contradict_each_other(settings: dict[str, object], reason: str):
    with pytest.raises(ValueError, match=reason):
        config(**settings)


def test_the_paper_protocol_takes_the_other_halves_of_the_source_images():
    found = task(None, protocol="paper")
    assert sorted(found.names("source")) == sorted(found.names("target-train"))
    assert len(found.rows["target-test"]) == 0
    assert len(found.rows["ti"]) == 40
    assert found.fingerprint != task(None).fingerprint


def test_the_paper_protocol_scores_the_last_epoch():
    settings = {"method": "shot", "dataset": {"protocol": "paper"}}
    assert load_config(settings).dataset.protocol == "paper"
    with pytest.raises(UserError, match="the protocol paper scores the last epoch"):
        load_config({**settings, "adapt": {"select": "infomax"}})


def test_settings_at_their_defaults_are_not_stored():
    assert not {"protocol", "fold", "folds", "ti_groups"} & set(DatasetConfig().model_dump())
    assert DatasetConfig(fold=1).model_dump()["fold"] == 1


def test_folds_are_an_axis_of_a_suite():
    suite = {
        "name": "folds",
        "version": 1,
        "title": "four folds",
        "tasks": {"crops": {"dataset": {"folds": "nyuv2-objects-v1"}}},
        "methods": ["source-only"],
        "seeds": [0, 1],
        "folds": 4,
    }
    cells = expand(checked_suite(suite, "here"))
    assert [(cell.config.dataset.fold, cell.seed) for cell in cells] == [(f, s) for f in range(4) for s in (0, 1)]
    assert cells[3].name == "source-only, crops, resnet10t, fold 1, seed 1"
    assert len({cell.config.digest() for cell in cells}) == 8


@pytest.mark.parametrize("name", shipped_folds())
def test_shipped_folds_are_as_they_were_made(name: str):
    """Their content decides results, so that it never changes: other folds get another version."""
    known = {"nyuv2-objects-v1": "256fb126f922fa16", "nirscene-tiles-v1": "2bda95e4aa4fa397"}
    file = read_folds(name, None)
    assert (file.name, file.folds, file.repeats) == (name, 4, 5)
    assert file.sha256.startswith(known[name])
    for fold in range(file.count):
        held: dict[str, set[str]] = defaultdict(set)
        for group in file.groups.values():
            held[group.parts[fold]] |= set(group.classes)
        assert all(set(file.classes) <= held[part] for part in "sth")


@pytest.mark.parametrize(
    ("name", "data", "settings"),
    [
        ("nyuv2-objects-v1", "nyuv2-objects", {"target": "depth@kinect1", "split": "nyu11-ti21"}),
        ("nirscene-tiles-v1", "nirscene-tiles", {"target": "nir@camera1", "tr_classes": ("field", "forest")}),
    ],
)
def test_shipped_folds_fit_the_real_data(name: str, data: str, settings: dict[str, object]):
    from sfda_kit.datasets.paired_folder import PairedFolder

    root = Path(os.environ.get("SFDA_KIT_NYU_DIR", "")) / data
    if not (root / "groups.csv").is_file():
        pytest.skip(f"{data} is not on this computer (SFDA_KIT_NYU_DIR)")
    domain = str(settings["target"]).partition("@")[2]
    asked = DatasetConfig(
        name="paired-folder", root=root, folds=name, fold=0, **{"source": f"rgb@{domain}", **settings}
    )
    found = build_task(PairedFolder(asked), asked)
    assert set(asked.tr_classes or ()) <= set(found.classes)
    assert not set(found.groups("source")) & set(found.groups("target-test"))


def test_the_command_writes_folds_that_a_run_can_use(
    sfda_kit: Callable[..., Result],
    tmp_path: Path,
    write_image: Callable[..., None],
    rgb: np.ndarray,
    depth: np.ndarray,
):
    data = tmp_path / "rooms of mine"
    lines = ["stem,group"]
    for room in range(12):
        for kind in ("cat", "cow", "dog"):
            write_image(data / "front" / "rgb" / kind / f"{kind}{room}.jpg", rgb)
            write_image(data / "front" / "depth" / kind / f"{kind}{room}.png", depth)
            lines.append(f"{kind}{room},room{room}")
    (data / "groups.csv").write_text("\n".join(lines) + "\n")
    wanted = ("data", "folds", "paired-folder", "--data-root", data, "--tr-classes", "cat,dog", "--repeats", "1")
    told = sfda_kit(*wanted, "--name", "mine")
    assert "4 folds (1 times 4) over 12 groups" in told.stdout
    assert read_folds(None, data).name == "mine"
    again = sfda_kit(*wanted)
    assert again.exit_code == 2 and "exists already" in str(again.exception)


def test_groups_of_shipped_folds_for_data_with_other_groups(sfda_kit: Callable[..., Result], tmp_path: Path):
    from sfda_kit.datasets.groups import read_groups

    out = tmp_path / "groups.csv"
    assert "1414 samples in 146 groups" in sfda_kit("data", "fold-groups", "nirscene-tiles-v1", "--out", out).stdout
    groups = read_groups(out)
    assert groups["camera1/country/country_0000_00"] == "country_0000" and len(groups) == 1414
