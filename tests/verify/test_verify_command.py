"""``sfda-kit data verify`` as a user meets it: exit codes, JSON, escaped names, manifest, ``--skip-bad``."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

import pytest

from sfda_kit.errors import printable
from sfda_kit.verify import pool
from sfda_kit.verify.file_checks import FileCheck, FileFacts, Look, look_at
from sfda_kit.verify.findings import RULES, split_message

from .conftest import write_pair

RGB = "cam/rgb/bar/bar0.png"


@pytest.fixture
def verify(sfda_kit):
    def call(root: Path, *flags: str):
        return sfda_kit("data", "verify", "paired-folder", "--data-root", root, *flags)

    return call


def last(result) -> dict:
    return json.loads(result.stdout.strip().splitlines()[-1])


def test_a_clean_set_ends_with_zero(clean, verify):
    result = verify(clean, "--tr-classes", "bar,disc", "--ti-classes", "stripe")
    assert result.exit_code == 0
    assert "12 samples, 24 files" in result.stdout and "0 errors, 1 notice" in result.stdout
    assert "4 of 4 TI pictures (100%) are in groups" in result.stdout


def test_an_error_ends_with_one_and_says_what_to_do(own, verify):
    (own / RGB).write_bytes(b"")
    result = verify(own)
    assert result.exit_code == 1
    assert f"{RGB}: is empty (zero bytes)" in result.stdout and "Copy it again" in result.stdout


def test_json_is_the_last_line(own, verify):
    (own / RGB).write_bytes(b"")
    result = verify(own, "--json", "--quick")
    report = last(result)
    assert result.exit_code == 1 and report["status"] == "errors" and report["mode"] == "quick"
    (found,) = [one for one in report["findings"] if one["severity"] == "error"]
    assert found == {
        "code": "empty-file",
        "severity": "error",
        "path": RGB,
        "what": "is empty (zero bytes)",
        "remedy": "Copy it again from where it came.",
        "skippable": True,
    }


def test_a_wrong_folder_is_a_wrong_command(tmp_path, verify):
    result = verify(tmp_path / "gone", "--json")
    assert result.exit_code == 2 and "nothing (the nearest existing folder" in last(result)["error"]


@pytest.mark.skipif(sys.platform != "linux", reason="only there may a name be any bytes")
def test_names_cannot_write_to_the_terminal(own, verify):
    write_pair(own, "\x1b[2J[bold]x\ny", 900)
    shutil.copy(own / RGB, own / os.fsdecode(b"cam/rgb/bar/\xff.png"))
    result = verify(own)
    assert result.exit_code == 1
    assert "\x1b" not in result.output and "[bold]" in result.stdout and "\\x1b[2J" in result.stdout
    assert json.dumps(last(verify(own, "--json"))).isascii()


def test_skip_bad_leaves_samples_out_and_says_how_many(own, verify):
    (own / RGB).write_bytes(b"")
    (own / "cam/depth/disc/disc0.png").unlink()
    result = verify(own, "--skip-bad", "--json")
    assert result.exit_code == 0 and last(result)["left_out"] == 2
    assert "left out: files of zero bytes" in verify(own, "--skip-bad").stdout


def test_skip_bad_does_not_cure_what_a_run_cannot_leave_out(own, verify):
    shutil.copy(own / RGB, own / "cam/rgb/disc/disc0.png")
    assert verify(own, "--skip-bad").exit_code == 1


def test_many_findings_are_cut(own, verify):
    for number in range(4):
        (own / f"cam/rgb/bar/bar{number}.png").write_bytes(b"")
    shortened = verify(own, "--limit", "1").stdout
    assert "... and 3 more" in shortened and "bar1.png" not in shortened


def test_the_manifest_tells_what_changed_since(own, verify):
    first = last(verify(own, "--json"))
    assert first["manifest_written"] and str(own) not in first["manifest"]
    assert first["manifest"].startswith(os.environ["SFDA_KIT_CACHE"])
    shutil.copy(own / "cam/depth/bar/bar1.png", own / "cam/depth/bar/bar0.png")
    result = verify(own, "--json")
    assert result.exit_code == 1
    changed = [one["path"] for one in last(result)["findings"] if one["code"] == "changed"]
    assert changed == ["cam/depth/bar/bar0.png"]


def test_files_that_went_and_came(own, verify):
    verify(own)
    for modality in ("rgb", "depth"):
        (own / f"cam/{modality}/bar/bar0.png").unlink()
    write_pair(own, "bar9", 999)
    report = last(verify(own, "--json", "--quick"))
    told = {one["code"]: one["path"] for one in report["findings"]}
    assert told["vanished"] == RGB and told["added"] == "cam/rgb/bar/bar9.png" and report["errors"] == 2


def test_fix_manifest_accepts_what_is_there(own, verify):
    verify(own)
    write_pair(own, "bar0", 998)
    assert verify(own).exit_code == 1
    assert verify(own, "--fix-manifest").exit_code == 0
    assert verify(own).exit_code == 0


def test_fix_manifest_needs_hashes(own, verify):
    result = verify(own, "--fix-manifest", "--quick")
    assert result.exit_code == 2 and "leave --quick out" in str(result.exception)


def test_a_manifest_elsewhere(own, tmp_path, verify):
    path = tmp_path / "kept" / "manifest.json"
    verify(own, "--manifest", str(path))
    files = json.loads(path.read_text())["files"]
    assert len(files) == 24 and set(files[RGB]) == {"bytes", "sha256"}
    path.write_text("[]")
    result = verify(own, "--manifest", str(path))
    assert result.exit_code == 2 and "cannot be read" in str(result.exception)


def test_a_manifest_that_cannot_be_written(own, tmp_path, verify):
    (tmp_path / "file").write_text("")
    result = verify(own, "--manifest", str(tmp_path / "file" / "manifest.json"))
    assert result.exit_code == 2 and "--manifest" in str(result.exception)


def test_processes_find_what_one_finds(own, monkeypatch):
    (own / RGB).write_bytes(b"")
    jobs = [FileCheck(path.relative_to(own).as_posix(), ("rgb",)) for path in sorted((own / "cam/rgb").rglob("*.png"))]
    look = _look(own)
    monkeypatch.setattr(pool, "ALONE", 0)
    monkeypatch.setattr(pool, "CHUNK", 3)
    told: list[int] = []
    assert pool.look_at_all(jobs, look, 2, lambda done, total: told.append(done)) == [
        look_at(one, look) for one in jobs
    ]
    assert told[-1] == len(jobs)


@pytest.mark.slow
def test_a_file_that_kills_the_decoder_costs_itself_alone(own, monkeypatch):
    jobs = [FileCheck(path.relative_to(own).as_posix(), ("rgb",)) for path in sorted((own / "cam/rgb").rglob("*.png"))]
    monkeypatch.setattr(pool, "ALONE", 0)
    found = pool.look_at_all(jobs, _look(own, Deadly()), 1, lambda done, total: None)
    dead = [facts.path for facts in found if [one.code for one in facts.findings] == ["decoder-died"]]
    assert dead == ["cam/rgb/disc/disc1.png"] and len(found) == len(jobs)


class Deadly:
    """A reader that ends its process at one file, as a broken native decoder does."""

    def __call__(self, path, modality, depth_unit):
        import numpy as np

        if path.name == "disc1.png":
            os._exit(11)
        return np.arange(48, dtype=np.uint8).reshape(4, 4, 3)


def _look(root: Path, reader=None) -> Look:
    from sfda_kit.data.decode_cache import FileReader

    return Look(str(root), reader or FileReader(), "mm", True)


def test_messages_are_cut_into_what_and_remedy():
    assert split_message("is empty (zero bytes). Copy it.") == ("is empty (zero bytes)", "Copy it.")
    assert split_message("is damaged (no. Really). Copy it.") == ("is damaged (no. Really)", "Copy it.")
    assert split_message("has no other half: expected a.png") == ("has no other half: expected a.png", "")


def test_what_does_not_print_is_escaped():
    assert printable("a\nb\x1b[31m\u202e\udcff é") == "a\\nb\\x1b[31m\\u202e\\udcff é"


def test_every_rule_has_a_remedy_of_one_sentence_or_more():
    for code, rule in RULES.items():
        assert rule.remedy.endswith(".") and rule.title, code


def test_facts_with_an_error_are_not_usable():
    facts = FileFacts("x.png")
    facts.add("constant", "is flat")
    assert facts.usable
    facts.add("empty-file", "is empty")
    assert not facts.usable
