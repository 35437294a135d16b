"""Packing finished runs, checking them, taking them in."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from sfda_kit.errors import UserError
from sfda_kit.results.collection import load_runs
from sfda_kit.results.record import read_record
from sfda_kit.results.store import RunFolder
from sfda_kit.submissions import sandbox
from sfda_kit.submissions.add import add
from sfda_kit.submissions.pack import archive_bytes, pack, public_record
from sfda_kit.submissions.sandbox import verify_in_sandbox
from sfda_kit.submissions.verify import Rules, verify

from .hostile import Files, signed

pytestmark = pytest.mark.slow

Command = Callable[..., Result]


@pytest.fixture
def copied(runs: dict[str, Path], tmp_path: Path) -> Path:
    """The source-only run in a runs folder of its own."""
    shutil.copytree(runs["source-only"], tmp_path / "runs" / runs["source-only"].name)
    return tmp_path / "runs" / runs["source-only"].name


def test_pack_verify_add_through_the_command(runs: dict[str, Path], tmp_path: Path, sfda_kit: Command):
    """With the check in a process of its own, as people use it."""
    archive, records = tmp_path / "mine.zip", tmp_path / "records"
    packed = sfda_kit("leaderboard", "pack", *runs.values(), "--out", archive, "--submitter", "Ada")
    assert packed.exit_code == 0 and "2 runs packed" in packed.output
    verified = sfda_kit("leaderboard", "verify", archive, "--json")
    assert verified.exit_code == 0, verified.output
    report = json.loads(verified.stdout.strip().splitlines()[-1])["archives"][0]
    assert report["accepted"] and report["checked"]["task"] == 2 and report["checked"]["scores"] == 2
    added = sfda_kit("leaderboard", "add", archive, "--records", records)
    assert added.exit_code == 0 and "2 runs added" in added.output
    taken = {run.record.run_id: run for run in load_runs([records])}
    assert set(taken) == {path.name for path in runs.values()}
    for path in runs.values():
        before, after = read_record(path), taken[path.name].record
        assert before and before.metrics == after.metrics and before.baselines == after.baselines
        assert taken[path.name].predictions.equals(load_runs([path])[0].predictions)
        assert json.loads((records / path.name / "submission.json").read_text())["submitter"] == "Ada"


def test_packing_twice_gives_the_same_bytes(runs: dict[str, Path], tmp_path: Path):
    folders = list(runs.values())
    first = pack(folders, tmp_path / "a.zip", {}).path.read_bytes()
    for path in folders:
        (path / "record.json").touch()
    second = pack(folders[::-1], tmp_path / "b.zip", {}).path.read_bytes()
    assert first == second


def test_no_path_of_the_submitter_and_no_weights_are_packed(packed: Path, runs: dict[str, Path]):
    home = str(runs["oracle"].parent.parent)
    with zipfile.ZipFile(packed) as archive:
        names = {name.partition("/")[2] for name in archive.namelist()} - {""}
        texts = [archive.read(name).decode() for name in archive.namelist() if name.endswith((".json", ".yaml"))]
    assert names <= {
        *("record.json", "history.json", "config.yaml", "predictions.parquet"),
        *(f"pictures/{name}.png" for name in ("confusion", "curves", "pairs", "predictions")),
    }
    assert not any(home in text for text in texts)


def test_paths_in_settings_and_texts_are_made_relative(copied: Path):
    record = read_record(copied)
    assert record
    record.config["dataset"]["root"] = "/data/jane doe/SUNRGBD"
    record.config["source"]["card"] = "/home/jane/cards/mine"
    record.notices = [
        "left out (--skip-bad): /data/jane doe/SUNRGBD/kv1/a.png: cut off",
        f"seen {copied}/checkpoints and C:\\Users\\jane\\x.pt\nand more, https://example.org/a/b",
    ]
    record.cost["peak_memory_mb"] = float("nan")
    public = public_record(record)
    assert public.config["dataset"]["root"] is None and public.config["source"]["card"] == "mine"
    assert public.notices[0] == "left out (--skip-bad): kv1/a.png: cut off"
    assert public.notices[1] == "seen checkpoints and x.pt and more, https://example.org/a/b"
    assert public.run_dir == public.run_id == copied.name and "peak_memory_mb" not in public.cost
    assert "jane" not in public.model_dump_json()


def test_names_that_file_systems_do_not_take_are_changed(copied: Path):
    record = read_record(copied)
    assert record
    assert public_record(record.model_copy(update={"run_id": "shot-my cam/é-s0"})).run_id == "shot-my_cam__-s0"
    assert public_record(record.model_copy(update={"run_id": "CON"})).run_id == "run-CON"


def test_pictures_that_show_a_real_data_set_stay_at_home(copied: Path):
    """Only the diagrams of a run on images that are not synthetic are packed."""
    record = read_record(copied)
    assert record
    shutil.copy(copied / "pictures" / "curves.png", copied / "pictures" / "pairs.png")
    for synthetic, expected in ((True, True), (False, False)):
        RunFolder(copied).write_record(record.model_copy(update={"synthetic": synthetic}))
        data = archive_bytes(load_runs([copied]), _about(), pictures=True)
        assert (b"pictures/pairs.png" in data) is expected
        assert b"pictures/curves.png" in data
    assert b"pictures" not in archive_bytes(load_runs([copied]), _about())


def _about():
    from sfda_kit.submissions.layout import About

    return About()


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda run: (run / "record.json").unlink(), "has not finished"),
        (lambda run: (run / "predictions.parquet").unlink(), "predictions.parquet is missing"),
        (lambda run: _set(run, status="failed"), "--with-failed"),
        (lambda run: _set(run, metrics={}), "made without labels"),
        (lambda run: _set(run, seed=7), "would be refused, so nothing was written"),
        (lambda run: _set(run, method="unheard-of"), "Unknown method"),
        (shutil.rmtree, "There is no folder"),
        (lambda run: [path.unlink() for path in run.glob("*.*")], "There is no finished run in"),
    ],
)
def test_runs_that_cannot_be_handed_in(copied: Path, tmp_path: Path, spoil: Callable[[Path], object], reason: str):
    spoil(copied)
    with pytest.raises(UserError, match=re.escape(reason)):
        pack([copied], tmp_path / "out.zip", {})
    assert not (tmp_path / "out.zip").exists()


def _set(run: Path, **values: object) -> None:
    record = read_record(run)
    assert record
    RunFolder(run).write_record(record.model_copy(update=values))


def test_failed_runs_are_packed_when_asked_for(copied: Path, tmp_path: Path, check):
    _set(copied, status="failed", error="RunError: the loss is nan\nat /home/jane/x/y.py")
    packed = pack([copied], tmp_path / "out.zip", {}, with_failed=True)
    code, output = check(packed.path.read_bytes())
    assert code == 0 and "its status is failed: it is listed and never ranks" in output
    with zipfile.ZipFile(packed.path) as archive:
        record = json.loads(archive.read(f"{copied.name}/record.json"))
    assert record["error"] == "RunError: the loss is nan at y.py" and record["metrics"] == {}


@pytest.mark.parametrize(
    ("about", "reason"),
    [({"link": "http://a.org"}, "link"), ({"submitter": "x" * 201}, "submitter"), ({"suite": "no-such"}, "no suite")],
)
def test_what_the_submitter_says_is_checked(copied: Path, tmp_path: Path, about: dict[str, str], reason: str):
    with pytest.raises(UserError, match=reason):
        pack([copied], tmp_path / "out.zip", about)


def test_an_archive_is_a_zip(copied: Path, tmp_path: Path):
    with pytest.raises(UserError, match="is a zip file"):
        pack([copied], tmp_path / "out.tar", {})


def test_adding_again_changes_nothing(packed: Path, tmp_path: Path, in_process: None):
    first = add(packed, tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.json")}
    second = add(packed, tmp_path)
    assert len(first.added) == 2 and second.added == () and second.known == first.added
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.json")} == before


def test_another_run_of_the_same_name_is_never_overwritten(packed: Path, tmp_path: Path, in_process: None):
    there = tmp_path / sorted(path.partition("/")[0] for path in zipfile.ZipFile(packed).namelist())[-1]
    there.mkdir()
    (there / "record.json").write_text("{}")
    with pytest.raises(UserError, match="holds another run of the same name, so nothing was added"):
        add(packed, tmp_path)
    assert (there / "record.json").read_text() == "{}"
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == [there.name]


def test_adding_is_all_or_nothing(packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_process: None):
    renamed: list[Path] = []
    rename = Path.rename

    def fails_the_second_time(self: Path, target: Path) -> Path:
        if renamed:
            raise OSError(28, "No space left on device")
        renamed.append(target)
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fails_the_second_time)
    with pytest.raises(UserError, match="the disk is full"):
        add(packed, tmp_path)
    assert renamed and [path for path in tmp_path.iterdir() if path.name != ".lock"] == []


def test_what_is_added_is_what_was_checked(
    packed: Path, files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, runs: dict[str, Path]
):
    """The file is exchanged while it is being checked."""
    archive, records = tmp_path / "a.zip", tmp_path / "records"
    archive.write_bytes(packed.read_bytes())
    files.edit(lambda record: record.update(seed=1))

    def exchange(data: bytes, rules: object):
        archive.write_bytes(signed(files))
        return verify(data)

    monkeypatch.setattr("sfda_kit.submissions.add.verify_in_sandbox", exchange)
    add(archive, records)
    assert read_record(records / runs["source-only"].name).seed == 0  # type: ignore[union-attr]


def test_a_refused_archive_adds_nothing(files: Files, tmp_path: Path, sfda_kit: Command, in_process: None):
    files.edit(lambda record: record.update(seed=1))
    (tmp_path / "a.zip").write_bytes(signed(files))
    result = sfda_kit("leaderboard", "add", tmp_path / "a.zip", "--records", tmp_path / "records")
    assert result.exit_code == 1 and "refused (run)" in result.output
    assert not (tmp_path / "records").exists()


def test_a_missing_archive_is_a_mistake_of_the_user(tmp_path: Path, sfda_kit: Command):
    result = sfda_kit("leaderboard", "verify", tmp_path / "none.zip")
    assert result.exit_code == 2 and "Cannot read the archive" in str(result.exception)


def test_a_data_root_must_be_there(packed: Path, sfda_kit: Command):
    result = sfda_kit("leaderboard", "verify", packed, "--data-root", "rooms=nowhere")
    assert result.exit_code == 2 and "expected DATASET=FOLDER" in str(result.exception)


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sfda_kit.submissions.add.verify_in_sandbox", verify)


def test_a_crash_of_the_check_refuses_the_archive(packed: Path, monkeypatch: pytest.MonkeyPatch):
    """A library that dies takes its own process along, not the one that asks."""
    monkeypatch.setattr(sandbox.sys, "executable", shutil.which("false"))
    findings = verify_in_sandbox(packed.read_bytes())
    assert not findings.accepted and "its check ended with code 1" in findings.problems[0].text


def test_a_check_that_does_not_end_refuses_the_archive(packed: Path):
    findings = verify_in_sandbox(packed.read_bytes(), timeout_s=0.01)
    assert not findings.accepted and "not done after" in findings.problems[0].text


@pytest.mark.slow
def test_what_torch_itself_needs_is_loaded_before_memory_is_limited():
    """Modules of methods load it: with CUDA it would leave an archive of several runs too little."""
    code = (
        "import sys; from sfda_kit.submissions import sandbox as s; s._load_libraries(); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"


def test_no_module_of_the_folder_it_is_called_in_is_imported(packed: Path, tmp_path: Path, monkeypatch):
    """A pull request may hold a file json.py: it must not run where the archive is checked."""
    (tmp_path / "json.py").write_text("raise SystemExit('a module of a stranger was imported')")
    (tmp_path / "rooms-mini").write_text("a: suite of a stranger")
    (tmp_path / "mine.yaml").write_text("a: broken suite")
    monkeypatch.chdir(tmp_path)
    assert verify_in_sandbox(packed.read_bytes()).accepted
    assert sandbox._from_anywhere(Rules(suite="rooms-mini")).suite == "rooms-mini"
    assert sandbox._from_anywhere(Rules(suite="mine.yaml")).suite == str(tmp_path / "mine.yaml")
