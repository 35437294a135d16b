from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sfda_kit.config.models import DatasetConfig
from sfda_kit.data.task import build_task
from sfda_kit.datasets.list_file import ListFile
from sfda_kit.datasets.twins import make_twin
from sfda_kit.errors import DataError, UserError

pytestmark = pytest.mark.slow

SENSORS = {"source": "rgb@cam", "target": "depth@cam"}
HEADER = "path,class,domain,modality,pair,role\n"


def config(root: Path, **changes: object) -> DatasetConfig:
    return DatasetConfig(name="list-file", root=root, **{**SENSORS, **changes})


def load(root: Path, **changes: object) -> ListFile:
    return ListFile(config(root, **changes))


@pytest.fixture(scope="module")
def twin(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("list") / "twin"
    make_twin("list-file", out, per_class=4)
    return out


@pytest.fixture
def folder(tmp_path, write_image, rgb, depth) -> Path:
    """Six scenes in both halves: ``a1_rgb.png`` with ``a1_depth.png``."""
    for name in ("a1", "a2", "b1", "b2", "c1", "c2"):
        write_image(tmp_path / "my images" / f"{name}_rgb.png", rgb)
        write_image(tmp_path / "my images" / f"{name}_depth.png", depth)
    return tmp_path


def both(name: str, scene_class: str, role: str = "") -> str:
    lines = [f"my images/{name}_{kind}.png,{scene_class},cam,{kind},{name},{role}" for kind in ("rgb", "depth")]
    return "\n".join(lines) + "\n"


@pytest.fixture
def write_list(folder) -> Callable[..., Path]:
    def write(*lines: str, header: str = HEADER, name: str = "list.csv") -> Path:
        (folder / name).write_text(header + "".join(lines), encoding="utf-8")
        return folder

    return write


def test_the_twin_is_unpaired_except_for_its_pairs(twin):
    dataset = load(twin)
    task = build_task(dataset, config(twin, minimum_images=1))
    assert len(task.classes) == 12 and len(task.ti_classes) == 6 and dataset.synthetic
    counts = {part: len(rows) for part, rows in task.rows.items()}
    assert counts == {"source": 24, "target-train": 12, "target-test": 12, "ti": 24}
    assert dataset.read(task.rows["source"], "rgb", 16).shape == (24, 16, 16, 3)
    assert dataset.read(task.rows["target-train"], "depth", 16).dtype == np.uint16
    assert len(dataset.read(task.rows["ti"], "rgb", 16)) == len(dataset.read(task.rows["ti"], "depth", 16))


def test_scenes_without_roles_are_dealt(write_list):
    root = write_list(both("a1", "cat"), both("a2", "cat"), both("b1", "dog"), both("b2", "dog"), both("c1", "cow"))
    dataset = load(root)
    index = dataset.index()
    assert len(index.names) == 5 and (index.part == -1).all()
    assert dataset.splits()["all"].tr_classes == ("cat", "cow", "dog")
    assert any("each sample is its own group" in notice for notice in index.notices)


def test_roles_make_the_split(write_list):
    root = write_list(both("a1", "cat", "source"), both("b1", "dog", "target-train"), both("c1", "cow", "ti"))
    splits = load(root).splits()
    assert next(iter(splits)) == "roles"
    assert (splits["roles"].tr_classes, splits["roles"].ti_classes) == (("cat", "dog"), ("cow",))
    root = write_list(both("a1", "cat", "source"), both("b1", "dog", "target-train"), both("c1", "cat", "ti"))
    with pytest.raises(UserError, match="both TR and TI: cat"):
        build_task(load(root), config(root))


def test_groups_come_from_the_column_or_from_elsewhere(write_list):
    header = HEADER.replace("role", "role,group")
    lines = [both(name, "cat").replace("\n", ",room\n") for name in ("a1", "a2")]
    assert len(set(load(write_list(*lines, header=header)).index().group)) == 1
    lines.append(both("b1", "cat").replace("\n", ",\n"))
    index = load(write_list(*lines, header=header)).index()
    assert len(set(index.group)) == 2 and index.notices


@pytest.mark.parametrize(("delimiter", "name"), [("\t", "list.tsv"), (";", "list.csv"), (",", "list.csv")])
def test_delimiters_spellings_and_defaults(write_list, delimiter, name):
    lines = (delimiter.join((f"my images/{stem}_rgb.png", "cat")) + "\n" for stem in ("a1", "b1"))
    root = write_list(*lines, header=f"\ufeffPath{delimiter}Label\n", name=name)
    index = load(root, source="rgb@default", target="rgb@default").index()
    assert index.domains == ("default",) and index.classes == ("cat",) and len(index.names) == 2


def test_the_table_may_lie_elsewhere(folder, tmp_path_factory):
    table = tmp_path_factory.mktemp("tables") / "mine.csv"
    table.write_text(HEADER + both("a1", "cat"))
    with pytest.raises(DataError, match=r"is not in .*tables.*mend the path"):
        load(table).index()
    dataset = load(table, options={"images": str(folder)})
    assert dataset.read(np.array([0]), "depth", 8).shape == (1, 8, 8)
    with pytest.raises(DataError, match=r"dataset.options.images .*none: expected a folder"):
        load(table, options={"images": str(folder / "none")})


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("my images/a1_rgb.png,,cam,rgb,,source\n", "line 4: has no path or no class"),
        ("my images/a1_rgb.png,cat,cam,rbg,,source\n", "unknown modality 'rbg'; write one of rgb"),
        ("my images/a1_rgb.png,cat,cam,rgb,,train\n", "unknown role 'train'; write one of source"),
        ("../a1_rgb.png,cat,cam,rgb,,source\n", r"'../a1_rgb.png' leads out of"),
        ("/etc/passwd,cat,cam,rgb,,source\n", r"'/etc/passwd' leads out of"),
        ("my images/a9_rgb.png,cat,cam,rgb,,source\n", r"'my images/a9_rgb.png' is not in"),
        ("my images/c1_rgb.png,cat,cam,rgb,,source\n", r"is on line 2 already; keep one"),
        ("my images/a1_rgb.png,cat,cam,rgb,,source,what\n", "more cells than the first line"),
        ("my images/a1_rgb.png,cat,cam,rgb,,\n", r"'my images/a1_rgb.png' has no depth half; add a line"),
        ("my images/a1_rgb.png,cat,cam,rgb,x,ti\n", "has no depth half"),
        ("my images/a1_rgb.png,cat,cam,rgb,,target-test\n", "has no depth half"),
        ("my images/a1_depth.png,cat,cam,depth,,source\n", "has no rgb half"),
    ],
)
def test_lines_that_cannot_be_used_are_named_or_left_out(write_list, line, expected):
    root = write_list(both("c1", "cow"), line)
    with pytest.raises(DataError, match=expected) as refused:
        load(root).index()
    assert "list.csv line 4" in str(refused.value) and "--skip-bad" in str(refused.value)
    index = load(root, skip_bad=True).index()
    assert len(index.names) == 1 and any("left out" in notice for notice in index.notices)


@pytest.mark.parametrize(
    ("second", "expected"),
    [
        ("my images/a2_depth.png,dog,cam,depth,p,\n", "pair 'p' has class 'cat' here and 'dog' on line 3"),
        ("my images/a2_depth.png,cat,cam,depth,p,ti\n", "has role '' here and 'ti' on line 3"),
        ("my images/a2_rgb.png,cat,cam,rgb,p,\n", r"two lines of one modality \(lines 2, 3\)"),
    ],
)
def test_pairs_that_contradict_themselves(write_list, second, expected):
    root = write_list("my images/a1_rgb.png,cat,cam,rgb,p,\n", second)
    with pytest.raises(DataError, match=expected):
        load(root).index()


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("path,domain\n", "has the columns path, domain; expected path, class"),
        ("path,class,colour\n", "has the columns path, class, colour"),
        ("path,class,path\n", "each once"),
        ("", "has the columns none"),
    ],
)
def test_headers_that_cannot_be_used(write_list, header, expected):
    with pytest.raises(DataError, match=expected):
        load(write_list(header=header)).index()


def test_tables_that_cannot_be_found_or_read(folder, write_list):
    with pytest.raises(DataError, match=r"holds neither list.csv nor list.tsv"):
        load(folder)
    write_list(name="list.tsv")
    with pytest.raises(DataError, match="names no image"):
        load(folder).index()
    write_list()
    with pytest.raises(DataError, match=r"holds both list\.csv and list\.tsv"):
        load(folder)
    (folder / "list.csv").write_bytes("path,class\nGröße.png,x\n".encode("latin-1"))
    with pytest.raises(DataError, match="Save it as UTF-8"):
        load(folder / "list.csv").index()


def test_bad_files_are_named(write_list, folder):
    (folder / "my images" / "a1_depth.png").write_bytes(b"")
    dataset = load(write_list(both("a1", "cat"), both("a2", "cat")))
    with pytest.raises(DataError, match=r"a1_depth.png \(depth\) is empty"):
        dataset.read(np.arange(2), "depth", 8)
    assert list(dataset.bad_rows(("rgb", "depth"))) == [0]
