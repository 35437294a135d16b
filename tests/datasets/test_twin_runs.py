"""The command that ``data make-twin`` prints runs on the twin that it wrote, for every layout."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from sfda_kit.datasets.twins import TWINS, run_flags

from ..conftest import FAST, last_json

SMALL = {"diml": 8, "diml-full": 15, "domain-folder": 3}
"""Scenes a class that are enough for each part to have some: groups are never cut."""
QUICK = [*FAST, "--json"]


def printed_command(sfda_kit, layout: str, *flags: str) -> list[str]:
    made = sfda_kit("data", "make-twin", layout, "my twin", *flags)
    assert made.exit_code == 0, made.exception
    line = next(line for line in made.stdout.splitlines() if line.startswith("try: "))
    program, *words = shlex.split(line.removeprefix("try: "))
    assert program == "sfda-kit"
    return words


def record_of(result) -> dict:
    assert result.exit_code == 0, result.exception
    return json.loads((Path(last_json(result)["run_dir"]) / "record.json").read_text())


@pytest.mark.slow
@pytest.mark.parametrize("layout", sorted(set(TWINS) - {"rgb-nir"}))
@pytest.mark.needs_plugin("sfda-kit-shot", "sfda-kit-tgkt")
def test_a_small_twin_runs_with_the_command_that_is_printed(sfda_kit, layout):
    words = printed_command(sfda_kit, layout, "--frames-per-class", str(SMALL.get(layout, 5)))
    assert "dataset.minimum_images=1" in words
    record = record_of(sfda_kit(*words, *QUICK))
    assert record["synthetic"] is True and len(record["task"]["classes"]) >= 2
    assert min(record["task"]["images"][part] for part in ("source", "target-train", "target-test")) > 0


@pytest.mark.slow
@pytest.mark.needs_plugin("sfda-kit-tgkt")
def test_a_twin_of_the_default_size_needs_no_further_setting_and_takes_splits(sfda_kit):
    words = printed_command(sfda_kit, "rgb-nir")
    assert "--set" not in words
    assert len(record_of(sfda_kit(*words, *QUICK))["task"]["classes"]) == 6
    Path("own.yaml").write_text("splits: {mine: {about: mine, tr: [water, field], ti: [urban]}}\n")
    own = ["--split", "mine", "--set", "dataset.options.splits=own.yaml"]
    task = record_of(sfda_kit(*words, *QUICK, *own))["task"]
    assert (task["classes"], task["ti_classes"]) == (["water", "field"], ["urban"])
    unknown = last_json(sfda_kit(*words, *QUICK, "--split", "random6-seed9"))["error"]
    assert "Unknown split 'random6-seed9' of rgb-nir. Did you mean 'random6-seed" in unknown


@pytest.mark.parametrize("layout", TWINS)
def test_default_sizes_are_enough_for_the_printed_command(layout):
    assert TWINS[layout].per_class >= TWINS[layout].enough
    assert "minimum_images" not in run_flags(layout, Path("x"))


@pytest.mark.slow
@pytest.mark.needs_plugin("sfda-kit-tgkt")
def test_without_pairs_the_source_model_is_scored_and_methods_of_pairs_are_refused(sfda_kit):
    words = printed_command(sfda_kit, "domain-folder", "--frames-per-class", "3")
    words[words.index("shot")] = "source-only"
    record = record_of(sfda_kit(*words, *QUICK))
    assert record["task"]["images"]["ti"] == 0 and record["task"]["ti_classes"] == []
    refused = sfda_kit("run", "--method", "tgkt", *words[3:], *QUICK)
    assert refused.exit_code == 2 and "trained on TI pairs and the task has none" in last_json(refused)["error"]


@pytest.mark.slow
@pytest.mark.needs_plugin("sfda-kit-shot")
def test_a_bad_file_stops_the_run_or_is_left_out_and_recorded(sfda_kit):
    words = printed_command(sfda_kit, "eurosat", "--frames-per-class", "6")
    bad = Path("my twin") / "EuroSAT_MS" / "River"
    for number in (1, 2, 3):
        (bad / f"River_{number}.tif").write_bytes(b"")
    refused = sfda_kit(*words, *QUICK)
    assert refused.exit_code == 2 and "is empty (zero bytes)" in last_json(refused)["error"]
    record = record_of(sfda_kit(*words, *QUICK, "--skip-bad"))
    told = [notice for notice in record["notices"] if "River_" in notice]
    assert len(told) >= 3


@pytest.mark.slow
def test_show_draws_what_a_set_has(sfda_kit):
    printed_command(sfda_kit, "eurosat", "--frames-per-class", "1")
    shown = sfda_kit("data", "show", "eurosat", "--data-root", "my twin", "--number", "4")
    assert shown.exit_code == 0, shown.exception
    assert "10 samples of 10 classes by sentinel2; 4 drawn" in shown.stdout
