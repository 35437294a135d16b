"""Rows rank within their track: what they used follows from what their parts declare."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pytest

from sfda_kit.leaderboard.render.csv_table import csv_text
from sfda_kit.leaderboard.render.latex import latex
from sfda_kit.leaderboard.render.markdown import markdown
from sfda_kit.leaderboard.site.build import build_site
from sfda_kit.results.collection import load_runs

from .made_runs import board, kinds, only_table, right, row, write_run

PAIRED = {"phases": [{"aligners": {"ti-features": {"weight": 1.0}}, "labeler": {"name": "centroid"}}]}
PLAIN = {"phases": [{"aligners": {"infomax": {"weight": 1.0}}}]}


def write(root: Path, method: str, share: float, track: list[str] | None, seeds: int = 3, **changes: Any) -> None:
    for seed in range(seeds):
        write_run(root, method, seed, right(share), right(0.2), track=track, **changes)


def of_recipe(root: Path, recipe: dict[str, Any], **changes: Any) -> str:
    """The track of a row whose record holds no track, and a recipe from a file (so that no method is asked)."""
    changes.setdefault("config", {})["file_recipe"] = recipe
    changes["config"].setdefault("adapt", {"select": "last"})
    write(root, "file:mine", 0.5, None, 1, recipe=recipe, **changes)
    return row(only_table(root), "file:mine").track_text


def test_rows_rank_and_are_compared_within_their_track_alone(tmp_path: Path):
    write(tmp_path, "a", 0.6, [])
    write(tmp_path, "b", 0.4, [])
    write(tmp_path, "c", 0.95, ["pairs"])
    write(tmp_path, "d", 0.7, ["pairs"])
    write(tmp_path, "e", 0.99, ["pairs", "tuned"])
    table = only_table(tmp_path)
    shown = [(one.label, one.track_text, one.rank_text) for one in table.ranked]
    assert shown == [
        ("a", "none", "1"),
        ("b", "none", "2"),
        ("c", "pairs", "1"),
        ("d", "pairs", "2"),
        ("e", "pairs, tuned", "1"),
    ]
    assert {(one.first, one.second) for one in table.comparisons} == {("a", "b"), ("c", "d")}
    assert [one.label for one in table.rows if table.leads(one)] == ["a", "c", "e"]
    behind = row(table, "d").versus_best
    assert behind is not None and (behind.first, behind.second) == ("d", "c") and row(table, "c").versus_best is None


def test_p_values_are_adjusted_for_the_comparisons_of_the_track(tmp_path: Path):
    alone, among = tmp_path / "alone", tmp_path / "among"
    for root in (alone, among):
        write(root, "a", 0.62, [])
        write(root, "b", 0.5, [])
    for number in range(4):
        write(among, f"p{number}", 0.52 + 0.01 * number, ["pairs"])
    (one,) = only_table(alone).comparisons
    (other,) = [c for c in only_table(among).comparisons if c.second == "b"]
    assert other == one and one.adjusted == one.p_value


def test_an_unknown_track_is_marked_and_never_ranks(tmp_path: Path):
    write(tmp_path, "a", 0.6, [])
    write(tmp_path, "not-installed", 0.9, None)
    found = row(only_table(tmp_path), "not-installed")
    assert found.track is None and found.track_text == "unknown"
    assert found.rank is None and kinds(found) == ["track"]
    assert "t: unknown track" in markdown(board(tmp_path))


@pytest.mark.parametrize(("recipe", "track"), [(PLAIN, "none"), (PAIRED, "pairs")])
def test_an_older_record_has_the_track_of_its_recipe(recipe: dict[str, Any], track: str, tmp_path: Path):
    assert of_recipe(tmp_path, recipe) == track


def test_a_part_that_is_not_installed_makes_the_track_unknown(tmp_path: Path):
    assert of_recipe(tmp_path, {"phases": [{"aligners": {"nowhere": {"weight": 1.0}}}]}) == "unknown"


def test_a_validator_counts_where_it_selects(tmp_path: Path):
    assert of_recipe(tmp_path / "a", PLAIN, config={"adapt": {"select": {"name": "pair-agreement"}}}) == "pairs"
    assert of_recipe(tmp_path / "b", PLAIN, config={"adapt": {"select": {"name": "entropy"}}}) == "none"


def test_several_source_models_are_another_track(tmp_path: Path):
    assert of_recipe(tmp_path, PLAIN, config={"source": {"cards": ["one", "two"]}}) == "models"


def test_settings_that_a_person_says_were_chosen_with_labels_are_tuned(tmp_path: Path):
    assert of_recipe(tmp_path, PLAIN, config={"tuned_with_labels": True}) == "tuned"


def test_weights_that_the_source_model_began_with_are_its_own(tmp_path: Path):
    model = {"backbone": "resnet10t", "backbone_weights": "lite0", "image_size": 64}
    assert of_recipe(tmp_path, PLAIN, config={"model": model}) == "none"


def test_no_pairs_are_used_where_the_task_has_none(tmp_path: Path):
    assert of_recipe(tmp_path, PAIRED, task={"images": {"ti": 0}}) == "none"


@pytest.mark.needs_plugin("sfda-kit-bridged", "sfda-kit-tgkt", "sfda-kit-alignment")
def test_a_method_that_was_chosen_on_this_data_is_tuned_there_alone(tmp_path: Path):
    for root, dataset in (("here", "rooms"), ("elsewhere", "sun-rgbd")):
        write(tmp_path / root, "bridged", 0.5, None, 1, recipe=PAIRED, config={"dataset": {"name": dataset}})
    tracks = [only_table(tmp_path / root).rows[0].track_text for root in ("here", "elsewhere")]
    assert tracks == ["pairs, tuned", "pairs"]


@pytest.mark.needs_plugin("sfda-kit-socket")
def test_a_preset_is_tuned_on_the_data_that_it_is_of(tmp_path: Path):
    for root, dataset in (("here", "diml"), ("elsewhere", "rooms")):
        changes = {"dataset": {"name": dataset}, "preset": "diml"}
        write(tmp_path / root, "socket-official", 0.5, None, 1, recipe=PAIRED, config=changes)
    tracks = [only_table(tmp_path / root).rows[0].track_text for root in ("here", "elsewhere")]
    assert tracks == ["pairs, tuned", "pairs"]


def test_tables_show_the_track_and_say_what_its_names_mean(tmp_path: Path):
    write(tmp_path, "a", 0.6, [])
    write(tmp_path, "b", 0.7, ["pairs"])
    found = board(tmp_path)
    shown = markdown(found)
    assert "| rank | method | track |" in shown and "| 1 | b | pairs |" in shown and "Pairs: TI pairs." in shown
    assert "1 & b & pairs &" in latex(found)
    (line,) = [line for line in csv.DictReader(io.StringIO(csv_text(found))) if line["method"] == "b"]
    assert (line["track"], line["rank"]) == ("pairs", "1")


def test_several_tables_are_compared_within_tracks(tmp_path: Path):
    for number in range(2):
        for method, share, track in (("a", 0.6, []), ("b", 0.5, []), ("c", 0.9, ["pairs"]), ("d", 0.8, ["pairs"])):
            write(tmp_path, method, share, list(track), task={"split_seed": number + 5})
    found = board(tmp_path)
    assert [(part.track, [one.label for one in part.rows]) for part in found.overall] == [
        ((), ["a", "b"]),
        (("pairs",), ["c", "d"]),
    ]
    assert "## Over 2 tables, track pairs" in markdown(found)


def test_the_site_shows_tracks_and_the_columns_of_controls(tmp_path: Path):
    records = tmp_path / "records"
    write(records, "a", 0.6, [])
    write(records, "socket", 0.8, ["pairs"])
    write(records, "socket", 0.5, ["pairs"], config={"dataset": {"pairs": "shuffled"}})
    write(records, "probe", 0.9, ["target-labels"], oracle=True, recipe={"options": {"labels": 5}})
    page = build_site(board(records), load_runs([records]), tmp_path / "board").read_text()
    assert '<th scope="col">track</th>' in page and "<td>pairs</td>" in page
    assert "minus shuffled pairs [95 %]" in page and "minus shuffled within class" not in page
    assert ">labels a class<" in page and "&lt; 5" in page
    assert "best of its track" in page and "Pairs: TI pairs." in page


@pytest.mark.parametrize(("split", "there"), [("nyu11", True), ("default", False)])
def test_caveats_of_the_data_stand_under_its_table(split: str, there: bool, tmp_path: Path):
    records = tmp_path / "records"
    write(records, "a", 0.6, [], config={"dataset": {"name": "paired-folder", "split": split}})
    found = board(records)
    page = build_site(found, load_runs([records]), tmp_path / "board").read_text()
    for shown in (markdown(found), page):
        assert ("A third of the crops are chairs" in shown) == there
