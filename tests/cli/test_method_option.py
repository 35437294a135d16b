"""``--method FILE.yaml`` as a user calls it: what is recorded, shown, packed, and made again without the file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import Result

from sfda_kit.errors import UserError
from sfda_kit.leaderboard.build import build_board
from sfda_kit.results.citations import citations
from sfda_kit.results.collection import load_runs
from sfda_kit.results.record import Record, read_record
from sfda_kit.submissions.pack import pack
from sfda_kit.submissions.verify import Rules, verify

from ..conftest import last_json

Call = Callable[..., Result]
Install = Callable[..., None]
FEW = ["--source-epochs", "1", "--epochs", "1", "--no-pictures"]


def results(record: Record | None) -> dict[str, Any]:
    """What must be equal, bit for bit, in two runs of one recipe."""
    assert record and record.status == "ok"
    history = json.loads((Path(record.run_dir) / "history.json").read_text())
    told = [{key: row[key] for key in ("phase", "epoch", "metrics", "signals")} for row in history]
    return {"metrics": record.metrics, "signals": record.signals, "recipe": record.recipe, "history": told}


@pytest.mark.slow
@pytest.mark.needs_plugin("sfda-kit-socket")
def test_a_copy_of_socket_in_a_file_and_the_plugin_made_of_it_give_the_numbers_of_socket(
    sfda_kit: Call, on_pairs: list[str], install: Install, tmp_path: Path
):
    def run(method: str, *more: str) -> Record:
        return read_record(Path(last_json(sfda_kit("run", "--method", method, *more, "--json"))["run_dir"]))  # type: ignore[return-value]

    Path("copy.yaml").write_text(sfda_kit("plugins", "show", "socket", "--yaml").stdout)
    socket, copied = run("socket", *on_pairs, *FEW), run("copy.yaml", *on_pairs, *FEW)
    assert results(copied) == results(socket)
    assert copied.method == "file:my-socket" and copied.run_id.startswith("file.my-socket-paired-folder")

    made = sfda_kit("plugins", "new", "made-of-a-file", "--method", "copy.yaml", "--out", tmp_path / "folder")
    assert made.exit_code == 0 and "sfda-kit run --method my-socket" in made.output
    (tmp_path / "folder/src/made_of_a_file").rename(tmp_path / "made_of_a_file")
    install("written", "from made_of_a_file import SFDA_KIT_INTERFACE, sfda_kit_register_method")
    packaged = run("my-socket", *on_pairs, *FEW)
    assert results(packaged) == results(socket)

    Path("copy.yaml").unlink()
    config = Path(copied.run_dir) / "config.yaml"
    assert run_again(sfda_kit, config) == copied, "the same run is found again, without the file"
    verify_and_show(copied)


def run_again(sfda_kit: Call, config: Path) -> Record | None:
    again = last_json(sfda_kit("run", "--config", config, "--resume", "--json"))
    return read_record(Path(again["run_dir"]))


def verify_and_show(record: Record) -> None:
    """The board marks the method as one of a file; an archive is accepted without saying whose it is."""
    runs = load_runs([Path(record.run_dir)])
    (table,) = build_board(runs, "heldout_accuracy").tables
    assert [row.label for row in table.rows if row.kind == "method"] == ["file:my-socket"]
    assert "method file:my-socket: a recipe in a file; cite what it comes from" in citations([record])
    packed = pack([Path(record.run_dir)], Path("mine.zip"), {"submitter": "Ada"}, pictures=False)
    report = verify(packed.path.read_bytes(), Rules())
    assert report.accepted, report


def test_a_file_is_shown_as_a_method_is(sfda_kit: Call):
    Path("mine.yaml").write_text("name: mine\nsummary: one term\naligners: {infomax: {weight: 2}}\nlabeler: centroid")
    shown = sfda_kit("plugins", "show", "mine.yaml").stdout
    assert shown.startswith("method file:mine: one term\n") and "aligner 2 x infomax" in shown
    assert yaml.safe_load(sfda_kit("plugins", "show", "mine.yaml", "--yaml").stdout)["aligners"] == {"infomax": 2}
    (told,) = json.loads(sfda_kit("plugins", "show", "mine.yaml", "--json").stdout)
    assert told["recipe"]["phases"][0]["labeler"]["name"] == "centroid"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("plugins", "show", "adabn", "--yaml"), "'adabn' has a training loop of its own, which no file can hold"),
        (("plugins", "show", "infomax", "--yaml"), "not a method"),
        (("plugins", "show", "none-here.yaml"), "Cannot read the recipe none-here.yaml"),
        (("run", "--method", "none-here.yaml"), "Cannot read the recipe none-here.yaml"),
        (("run", "--method", "bad.yaml"), "line 2, aligners.infomx: Unknown aligner 'infomx'"),
        (("ablate", "--method", "bad.yaml", "--labeler", "centroid,none"), "line 2, aligners.infomx"),
        (("run", "--config", "folder/settings.yaml"), "recipe folder/bad.yaml is not valid"),
        (("plugins", "new", "my-sfda", "--method", "bad.yaml"), "line 2, aligners.infomx"),
    ],
)
@pytest.mark.needs_plugin("sfda-kit-tta")
def test_a_mistake_is_told_in_one_message(sfda_kit: Call, arguments: tuple[str, ...], said: str):
    Path("folder").mkdir()
    for path in ("bad.yaml", "folder/bad.yaml"):
        Path(path).write_text("name: mine\naligners: {infomx: 1}")
    Path("folder/settings.yaml").write_text("method: bad.yaml")
    refused = sfda_kit(*arguments)
    assert refused.exit_code == 2 and isinstance(refused.exception, UserError)
    assert said in str(refused.exception)
