"""The files of the site: complete, the same for the same records, and safe whatever the records say."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from unittest.mock import patch

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from sfda_kit.errors import RunError, UserError
from sfda_kit.leaderboard import build_board
from sfda_kit.leaderboard.board import Comparison
from sfda_kit.leaderboard.site import build, pictures, shares
from sfda_kit.leaderboard.site.confusion import confusion_of
from sfda_kit.leaderboard.site.folder import MARK
from sfda_kit.leaderboard.site.pages import environment
from sfda_kit.leaderboard.site.paper import paper_in
from sfda_kit.results.collection import load_runs

from .made_runs import board, write_run
from .made_site import SECRET, built, hostile, ordinary, write_history, write_picture

pytestmark = pytest.mark.slow


class Page(HTMLParser):
    """Tags, addresses and text of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.rows: list[list[str]] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.text += " "
            self.rows[-1].append("")

    def handle_data(self, data: str) -> None:
        self.text += data
        if self.rows and self.rows[-1]:
            self.rows[-1][-1] += data

    def values(self, *names: str) -> list[str]:
        return [value for _, found in self.tags for name, value in found.items() if name in names and value]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ordinary(tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def site(runs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(runs, tmp_path_factory.mktemp("site") / "board")


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("hostile")
    return built(hostile(root / "runs"), root / "board")


def pages(site: Path) -> list[Path]:
    return sorted(site.rglob("*.html"))


def files(site: Path) -> dict[str, bytes]:
    return {str(path.relative_to(site)): path.read_bytes() for path in sorted(site.rglob("*")) if path.is_file()}


def squeezed(text: str) -> str:
    return " ".join(text.split())


def page_of(site: Path, pattern: str) -> Page:
    (found,) = site.glob(pattern)
    return Page(found)


def test_every_run_method_and_task_has_a_page(site: Path):
    assert len(list(site.glob("runs/*.html"))) == 31
    assert {path.name.rpartition("-")[0] for path in site.glob("methods/*.html")} == {
        "tgkt", "shot", "shot-im", "source-only", "oracle", "socket",
    }  # fmt: skip
    assert len(list(site.glob("tasks/*.html"))) == 2


def test_every_link_inside_leads_to_a_file(site: Path):
    for path in pages(site):
        for address in Page(path).values("href", "src"):
            if not address.startswith(("https://", "#")):
                assert (path.parent / address).resolve().is_file(), f"{path.name}: {address}"


def test_no_page_asks_for_anything_outside_of_the_folder(site: Path):
    for path in pages(site):
        for tag, found in Page(path).tags:
            if tag != "a":
                assert not re.match(r"\w+:|//", found.get("src") or found.get("href") or ""), path.name


def test_the_policy_allows_no_inline_script_or_style_and_none_is_there(site: Path, attacked: Path):
    for path in [*pages(site), *pages(attacked)]:
        page = Page(path)
        (policy,) = [found["content"] for tag, found in page.tags if found.get("http-equiv")]
        assert policy and "default-src 'none'" in policy and "unsafe" not in policy
        for tag, found in page.tags:
            assert tag != "style" and "style" not in found, path.name
            assert tag != "script" or found.get("src"), path.name
            assert not [name for name in found if name.startswith("on")], path.name


def test_the_same_records_give_the_same_bytes(runs: Path, site: Path, tmp_path: Path):
    elsewhere = shutil.copytree(runs, tmp_path / "other" / "place")
    assert files(built(elsewhere, tmp_path / "board")) == files(site)


def test_ids_are_unique_on_each_page(site: Path):
    for path in pages(site):
        ids = Page(path).values("id")
        assert len(ids) == len(set(ids)), path.name


def test_ranks_ties_marks_and_rows_that_never_rank_are_said(site: Path):
    index = Page(site / "index.html")
    text = squeezed(index.text)
    assert "oracle never ranks" in text
    assert "made with target labels: an upper bound that never ranks" in text
    unranked = [found for tag, found in index.tags if tag == "tr" and found.get("class") == "unranked"]
    assert len(unranked) == 5  # oracle and source-only of both tasks, and socket, whose only run failed


def test_each_table_shows_the_ranks_of_the_board_with_their_ties(runs: Path, site: Path):
    ranks = {row.rank_text for table in board(runs).tables for row in table.rows}
    assert ranks == {"1", "2=", ""}
    for table in board(runs).tables:
        shown = {
            squeezed(cells[0]).split()[0]: (squeezed(cells[1]), squeezed(cells[2]))
            for cells in Page(site / f"tasks/{table.id}.html").rows
            if len(cells) > 9
        }
        for row in table.rows:
            assert shown[row.label] == (row.track_text, row.rank_text or "–")


def test_each_row_says_what_its_backbone_began_with(site: Path, tmp_path: Path):
    weights = {"name": "lite0", "sha256": "57934424" + "0" * 56}
    write_run(tmp_path / "runs", source={"model": {"backbone_weights": "lite0"}, "initial_weights": weights})
    page = Page(next((built(tmp_path / "runs", tmp_path / "board") / "tasks").glob("*.html")))
    heads, *rows = (row for row in page.rows if len(row) > 8)
    at = heads.index("pretraining")
    assert rows and all(row[at] == "lite0 57934424" and len(row) == len(heads) for row in rows)
    assert not any("pretraining" in path.read_text() for path in (site / "tasks").glob("*.html"))


def test_synthetic_data_is_called_synthetic_and_other_data_is_not(site: Path):
    assert "Some results are on synthetic images" in squeezed(Page(site / "index.html").text)
    assert "synthetic data" in page_of(site, "tasks/*depth*.html").text
    assert "synthetic data" not in page_of(site, "tasks/*nir*.html").text
    assert "synthetic data" in page_of(site, "runs/tgkt-dep-s0-*.html").text
    assert "synthetic data" not in page_of(site, "runs/tgkt-nir-s0-*.html").text


def test_without_a_critical_difference_diagram_the_reason_stands_there(site: Path):
    assert "No critical difference diagram:" in squeezed(Page(site / "index.html").text)


def test_a_failed_run_says_why_and_keeps_the_folders_of_its_machine_to_itself(site: Path):
    text = squeezed(page_of(site, "runs/socket-*.html").text)
    assert "This run failed. RunError: no space in models" in text
    for path in pages(site):
        assert "/home/somebody" not in path.read_text(), path.name


def test_the_board_names_the_runs_that_did_not_end_well(site: Path):
    text = squeezed(Page(site / "index.html").text)
    assert "Runs that did not end well: socket, seed 0: failed, RunError: no space in models" in text


def test_a_run_page_has_its_scores_matrix_curve_hashes_and_configuration(site: Path):
    text = squeezed(page_of(site, "runs/tgkt-dep-s0-*.html").text)
    for part in (
        "90.0 %",
        "Accuracy by epoch: held out from 75.0 to 90.0 %",
        "Confusion matrix",
        "f" * 16,
        '"lr": 0.01',
    ):
        assert part in text


def test_a_run_page_tells_alarms_and_which_epoch_was_chosen_how(tmp_path: Path):
    alarm = {"phase": "adapt", "epoch": 3, "name": "collapse", "text": "one class took 95 % of the images"}
    chosen = {"chosen_phase": "adapt", "chosen_epoch": 2, "result_phase": "adapt", "result_epoch": 2}
    selection = {"validator": "snd", "applied": True, **chosen, "regret": 1.5}
    monitor = {"on_collapse": "stop", "stopped": True, "alarms": [alarm]}
    write_history(write_run(tmp_path / "runs", selection=selection, monitor=monitor), 60.0)
    text = squeezed(page_of(built(tmp_path / "runs", tmp_path / "board"), "runs/*.html").text)
    assert "adapt, epoch 3: one class took 95 % of the images" in text
    assert "It was stopped before its last epoch." in text
    assert "snd, which sees no label, chose the epoch that scores: adapt, epoch 2" in text
    assert "the last epoch scores" not in text and "regret in points of plain accuracy 1.5" in text


def test_a_confusion_matrix_counts_the_held_out_images_alone(site: Path):
    markup = next(site.glob("runs/oracle-dep-s0-*.html")).read_text()
    matrix = markup[markup.index('class="matrix"') :]
    assert re.findall(r'<td class="heat-10 diagonal">100</td>', matrix) != []
    assert '<td class="num">30</td>' in matrix  # of 60 held-out images, two classes


@pytest.mark.needs_plugin("sfda-kit-tgkt")
def test_a_method_page_has_its_rows_paper_and_recipe(site: Path):
    page = page_of(site, "methods/tgkt-*.html")
    assert "https://arxiv.org/abs/2401.05014" in page.values("href")
    assert squeezed(page.text).count("→") >= 2
    assert "input bridge copy" in squeezed(page.text)


def test_a_source_only_row_that_other_runs_recorded_is_not_taken_for_theirs(tmp_path: Path):
    write_run(tmp_path / "runs", "shot")
    site = built(tmp_path / "runs", tmp_path / "board")
    assert "run of shot that recorded source-only, seed 0" in page_of(site, "methods/source-only*").values("aria-label")
    (place,) = [text for text in page_of(site, "runs/*").values("href") if "tasks/" in text]
    assert place and "Marks of its row" not in page_of(site, "runs/*").text


def test_a_method_of_no_installed_package_says_so(attacked: Path):
    assert "No installed package declares this method" in page_of(attacked, "methods/taken-*.html").text


def test_hostile_texts_stay_texts_and_name_no_file(attacked: Path):
    for path in pages(attacked):
        page = Page(path)
        assert not [1 for tag, found in page.tags if tag == "img" and found.get("src") == "x"], path.name
        assert not [v for v in page.values("href") if v.startswith("javascript")], path.name
    assert "<script>window.attacked = 1</script>" in Page(attacked / "index.html").text
    for name in files(attacked):
        assert re.fullmatch(r"(\w+/)?[A-Za-z0-9.-]+", name), name
    assert not (attacked.parent / SECRET).exists()


def test_control_characters_and_turned_text_are_replaced(attacked: Path):
    for path in pages(attacked):
        assert not re.search("[\x00\x1b\u202e]", path.read_text(encoding="utf-8")), path.name


def test_pictures_are_made_anew_from_their_pixels(site: Path, attacked: Path):
    for folder, count in ((site, 1), (attacked, 1)):
        made = sorted(folder.glob("pictures/*.png"))
        assert len(made) == count
        for path in made:
            assert SECRET.encode() not in path.read_bytes()
            with Image.open(path) as picture:
                assert picture.size == (60, 40)


def test_pictures_that_are_links_broken_or_too_large_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder = tmp_path / "run" / "pictures"
    write_picture(folder / "kept.png")
    write_picture(tmp_path / "elsewhere.png")
    (folder / "link.png").symlink_to(tmp_path / "elsewhere.png")
    (folder / "broken.png").write_bytes((folder / "kept.png").read_bytes()[:60])
    (folder / "drawing.png").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    write_picture(folder / "large.png", (101, 100))
    monkeypatch.setattr(pictures, "MAX_PIXELS", 10_000)
    found = pictures.pictures_of(folder.parent)
    assert "link.png" not in {path.name for path in found}
    made = {path.name: pictures.reencode(path, tmp_path / "out") for path in found}
    kept = made.pop("kept.png")
    assert kept and kept[1:] == (60, 40)
    assert made == {"broken.png": None, "drawing.png": None, "large.png": None}
    assert [path.name for path in (tmp_path / "out").iterdir()] == [kept[0]]


def test_pictures_that_are_alike_are_kept_once_with_their_colours(tmp_path: Path):
    for name in ("one", "two"):
        write_picture(tmp_path / "pictures" / f"{name}.png")
    with Image.open(tmp_path / "pictures" / "two.png") as picture:
        picture.convert("RGB").quantize(16).save(tmp_path / "pictures" / "few.png")
    made = [pictures.reencode(path, tmp_path / "out") for path in pictures.pictures_of(tmp_path)]
    assert len(made) == 3 and len(list((tmp_path / "out").iterdir())) == 2
    with Image.open(tmp_path / "out" / made[0][0]) as few:  # type: ignore[index]
        assert few.mode == "P"


def test_wide_pictures_are_scaled_down(tmp_path: Path):
    write_picture(tmp_path / "pictures" / "wide.png", (3200, 100))
    made = pictures.reencode(tmp_path / "pictures" / "wide.png", tmp_path / "out")
    assert made and made[1:] == (1600, 50)


def test_what_a_run_folder_should_not_hold_costs_only_its_part(tmp_path: Path):
    folder = write_run(tmp_path / "runs", predictions=False)
    (folder / "history.json").write_text('[1, {"metrics": 5}, {"metrics": {"heldout_accuracy": "high"}}]')
    (folder / "predictions.parquet").write_bytes(b"no parquet")
    (folder / "pictures").write_text("no folder")
    text = page_of(built(tmp_path / "runs", tmp_path / "board"), "runs/*.html").text
    assert "What it ran on" in text and "Learning curves" not in text and "Confusion matrix" not in text


@pytest.mark.filterwarnings("ignore:overflow encountered")
@pytest.mark.parametrize("value", [float("inf"), float("nan"), -1e308, 1e308])
def test_figures_that_cannot_be_are_shown_and_drawn_nowhere(tmp_path: Path, value: float):
    names = ("heldout_accuracy", "heldout_mean_class_accuracy", "heldout_calibration_error", "source_accuracy")
    cost = dict.fromkeys(("wall_s", "peak_memory_mb", "trained_parameters"), value)
    changes = {"metrics": dict.fromkeys(names, value), "cost": cost}
    for seed in range(3):
        for method in ("shot", "tgkt"):
            folder = write_run(tmp_path / "runs", method, seed, predictions=method == "shot", **changes)
            write_history(folder, value)
    site = built(tmp_path / "runs", tmp_path / "board")
    assert len(list(site.glob("runs/*.html"))) == 6
    for path in pages(site):
        assert not re.search(r' (points|d|cx|x|y)="[^"]*(nan|inf|e\+)', path.read_text()), path.name


def test_an_older_board_is_replaced_whole(runs: Path, site: Path, tmp_path: Path):
    out = tmp_path / "board"
    built(write_run(tmp_path / "few").parent, out)
    assert files(built(runs, out)) == files(site)
    assert [path.name for path in tmp_path.iterdir()] != [] and not list(tmp_path.glob(".*"))


def test_a_folder_with_something_else_is_refused_and_left_alone(tmp_path: Path):
    write_run(tmp_path / "runs")
    out = tmp_path / "thesis"
    out.mkdir()
    (out / "index.html").write_text("mine")
    with pytest.raises(UserError, match=rf"holds something else than a leaderboard \(it has no {MARK}\)"):
        built(tmp_path / "runs", out)
    assert files(out) == {"index.html": b"mine"}


def test_an_out_that_is_a_file_or_a_link_is_refused(tmp_path: Path):
    write_run(tmp_path / "runs")
    (tmp_path / "file").write_text("mine")
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    for name in ("file", "link"):
        with pytest.raises(UserError, match="is not a folder"):
            built(tmp_path / "runs", tmp_path / name)


def test_a_build_that_fails_leaves_the_old_board(runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    out = built(write_run(tmp_path / "few").parent, tmp_path / "board")
    before = files(out)
    monkeypatch.setattr("sfda_kit.leaderboard.site.build.write_shares", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        built(runs, out)
    assert files(out) == before and not list(tmp_path.glob(".*"))


def test_a_board_without_scores_still_has_its_runs(tmp_path: Path):
    write_run(tmp_path / "runs", status="failed", error="RunError: boom", metrics={}, predictions=False)
    site = built(tmp_path / "runs", tmp_path / "board")
    assert "RunError: boom" in page_of(site, "runs/*.html").text


@pytest.mark.parametrize(("high", "different", "told"), [(-0.3, False, True), (-0.3, True, False), (0.4, False, False)])
def test_a_tie_whose_interval_leaves_out_0_is_explained_in_its_cell(high: float, different: bool, told: bool):
    """The interval is for one comparison alone, the rank for all."""
    adjusted = 0.03 if different else 0.059
    found = Comparison("shot", "tgkt", -3.9, -7.6, high, 0.01, adjusted, different, seeds=3, groups=9)
    cell = environment().get_template("parts.html").module.corrected(found, "tied")  # type: ignore[attr-defined]
    assert ("tied: adjusted p 0.059" in cell) is told


def test_ties_are_explained_below_the_table(site: Path):
    assert "for one comparison alone, leaves out 0" in squeezed(Page(site / "index.html").text)


def test_one_table_is_shown_without_a_map_of_methods_by_tasks(runs: Path, site: Path, tmp_path: Path):
    write_run(tmp_path / "runs", "shot")
    page = squeezed(Page(built(tmp_path / "runs", tmp_path / "site") / "index.html").text)
    assert "Methods by tasks" not in page and "Methods by tasks" in squeezed(Page(site / "index.html").text)


def test_a_paper_has_title_authors_and_bibtex_where_the_package_ships_them():
    entry = """@inproceedings{shot,
  author = {Liang, Jian and Hu, Dapeng},
  title = {Do We {Really} Need It?},
  url = {https://arxiv.org/abs/2002.08546}
}"""
    paper = paper_in(entry, "https://arxiv.org/abs/2002.08546")
    assert (paper.title, paper.authors, paper.bibtex) == ("Do We Really Need It?", "Jian Liang, Dapeng Hu", entry)
    assert paper_in("", "a citation").title == ""


@pytest.mark.needs_plugin("sfda-kit-shot")
def test_a_method_links_to_the_docs_of_its_package(site: Path):
    addresses = Page(next(site.glob("methods/shot-im-*.html"))).values("href")
    assert any(address.startswith("http") and "sfda-kit-shot" in address for address in addresses)


@pytest.fixture
def in_two_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "ALONE", 0)
    monkeypatch.setattr(build, "FULL_TABLES", 0)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)


@pytest.mark.usefixtures("in_two_processes")
def test_two_processes_write_the_same_bytes_as_one(runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with patch.object(shares, "_start", wraps=shares._start) as started:
        two = built(runs, tmp_path / "two")
        assert started.call_count == 1
        monkeypatch.setattr(build, "ALONE", 1000)
        one = built(runs, tmp_path / "one")
        assert started.call_count == 1
    assert files(two) == files(one)


def test_a_table_and_its_runs_are_in_one_share(runs: Path):
    stored = load_runs([runs])
    whole = build_board(stored)
    divided = shares.divide(whole, stored, shares.find_places(whole, stored), 2)
    assert [table.id for share in divided for table in share.tables] == [table.id for table in whole.tables]
    assert sorted(run.record.run_id for share in divided for run in share.runs) == [run.record.run_id for run in stored]
    for share in divided:
        assert {place.table.id for place in share.places.values()} == {table.id for table in share.tables}


@pytest.mark.usefixtures("in_two_processes")
@pytest.mark.parametrize(
    ("ended", "error", "said"),
    [("no luck", RunError, "A process that writes pages stopped: no luck"), (28, UserError, "Cannot write .* full")],
)
def test_a_process_that_stops_is_told(
    ended: str | int,
    error: type[Exception],
    said: str,
    runs: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    command = [sys.executable, "-S", "-c", f"raise SystemExit({ended!r})"]
    monkeypatch.setattr(
        shares, "_start", lambda *_: subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE)
    )
    with pytest.raises(error, match=said):
        built(runs, tmp_path / "board")
    assert not list(tmp_path.iterdir())


def test_a_confusion_matrix_reads_any_column(tmp_path: Path):
    """Classes that are numbers or missing, and a class that no image has."""
    table = {
        "part": ["heldout", "heldout", "transductive", "heldout"],
        "label": [1, 1, 1, None],
        "prediction": [1, 2, 1, 2],
    }
    folder = write_run(tmp_path, "shot", task={"classes": ["2", "spare"]})
    pq.write_table(pa.table(table), folder / "predictions.parquet")
    (run,) = load_runs([tmp_path])
    found = confusion_of(run)
    assert found is not None and found.classes == ("2", "spare", "1", "None")
    assert found.counts.tolist() == [[0, 0, 0, 0], [0, 0, 0, 0], [1, 0, 1, 0], [1, 0, 0, 0]]
