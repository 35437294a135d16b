"""``sfda-kit cache``: what is told, what is removed, and what stays."""

from __future__ import annotations

import gc
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock

from sfda_kit.cli.cache import size_text
from sfda_kit.config.models import DatasetConfig
from sfda_kit.data.cache_contents import clear, entries
from sfda_kit.data.shared_map import open_mapped
from sfda_kit.paths import cache_dir
from sfda_kit.rooms.dataset import Rooms
from sfda_kit.training.stage_cache import cached_stage

from ..conftest import last_json

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cache_of_a_run(tmp_path_factory) -> Path:
    """Where the first test that asks for it keeps a copy of its cache for the others."""
    return tmp_path_factory.mktemp("cache") / "copy"


@pytest.fixture
def filled(sfda_kit, on_pairs, pairs_root, cache_of_a_run) -> Path:
    """A cache as one run and ``rooms`` leave it."""
    if cache_of_a_run.exists():
        shutil.copytree(cache_of_a_run, cache_dir(), dirs_exist_ok=True)
        return cache_dir()
    assert sfda_kit("run", "--method", "tgmb", *on_pairs).exit_code == 0
    Rooms(DatasetConfig(options={"scenes": 0.01})).read(np.arange(2), "rgb", 16)
    gc.collect()  # the run was in this process: what it had mapped is in use until then
    shutil.copytree(cache_dir(), cache_of_a_run)
    return cache_dir()


def told(sfda_kit) -> dict[str, list[dict]]:
    found = last_json(sfda_kit("cache", "info", "--json"))["entries"]
    return {kind: [entry for entry in found if entry["kind"] == kind] for kind in ("decoded", "stages", "rooms")}


@pytest.mark.needs_plugin("sfda-kit-tgkt")
def test_a_run_fills_it_and_clear_empties_it_kind_by_kind(sfda_kit, filled, pairs_root, on_pairs):
    found = told(sfda_kit)
    sensors = {entry["what"].split(" at ")[0].split(" x ")[1] for entry in found["decoded"]}
    assert sensors == {"rgb", "depth"} and all(str(pairs_root) in entry["what"] for entry in found["decoded"])
    words = sorted(entry["what"] for entry in found["stages"])
    assert [text.split(":")[0] for text in words] == ["bridge", "source"]
    assert words[1] == "source: rgb@cam, test_resnet, 4 classes, seed 0"
    assert "scenes=0.01" in found["rooms"][0]["what"] and "kv1" in found["rooms"][0]["what"]
    assert all(entry["size"] > 0 and entry["last_used"] > 10**9 for kind in found.values() for entry in kind)
    for kind in ("decoded", "stages", "rooms"):
        cleared = sfda_kit("cache", "clear", f"--{kind}", "--yes")
        assert cleared.exit_code == 0 and cleared.stdout.startswith("removed")
        assert not told(sfda_kit)[kind]
    assert "nothing to clear" in sfda_kit("cache", "clear", "--all", "--yes").stdout
    assert not list(filled.rglob("*.npy")) and not list(filled.rglob("*.safetensors"))
    assert sfda_kit("run", "--method", "tgmb", *on_pairs).exit_code == 0


@pytest.mark.needs_plugin("sfda-kit-tgkt")
def test_a_table_for_people(sfda_kit, filled):
    shown = sfda_kit("cache", "info").stdout
    assert "decoded images: at most 50.0 GB" in shown and "SFDA_KIT_CACHE_LIMIT" in shown
    assert "just now" in shown and "trained stages" in shown
    old = next(filled.rglob("*.safetensors")).parent
    for path in (*old.iterdir(), old.with_suffix(".json")):
        os.utime(path, (0, 0))
    assert any("days ago" in line or "unknown" in line for line in sfda_kit("cache", "info").stdout.splitlines())


@pytest.mark.needs_plugin("sfda-kit-tgkt")
def test_nothing_is_removed_unless_it_is_said_what_and_that(sfda_kit, filled):
    before = sorted(filled.rglob("*"))
    unsaid = sfda_kit("cache", "clear", "--yes")
    assert unsaid.exit_code == 2 and "Say what to clear: --decoded" in str(unsaid.exception)
    unasked = sfda_kit("cache", "clear", "--all")
    assert unasked.exit_code == 2 and "There is nobody to ask here: add --yes" in str(unasked.exception)
    assert sorted(filled.rglob("*")) == before


@pytest.mark.skipif(sys.platform == "win32", reason="Windows refuses by itself to remove mapped files")
@pytest.mark.needs_plugin("sfda-kit-tgkt")
def test_what_is_in_use_stays_and_is_named(sfda_kit, filled):
    decoded = next((filled / "decoded").rglob("pixels.npy"))
    room = next((filled / "rooms").rglob("*.npy"))
    held = open_mapped(decoded), open_mapped(room)
    with FileLock(next((filled / "stages" / "source").glob("*.lock"))):
        cleared = sfda_kit("cache", "clear", "--all", "--yes").stdout
        left = told(sfda_kit)
    assert {kind: len(found) for kind, found in left.items()} == {"decoded": 1, "stages": 1, "rooms": 1}
    assert cleared.count("stays, in use") == 3 and left["stages"][0]["what"].startswith("source")
    assert all(entry["in_use"] for entry in (left["decoded"][0], left["rooms"][0]))
    assert decoded.is_file() and room.is_file()
    del held


def test_an_unfinished_stage_is_told_and_can_be_cleared(sfda_kit):
    def killed(folder: Path) -> None:
        (folder / "checkpoint.pt").write_bytes(b"x" * 100)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cached_stage("bridge", {"seed": 3}, killed)
    (found,) = entries(["stages"])
    assert "unfinished" in found.what and found.size == 100
    assert clear([found]) == ([found], [])
    assert not entries()


@pytest.mark.needs_plugin("sfda-kit-tgkt")
def test_everything_is_verified_and_what_is_damaged_is_made_again(sfda_kit, filled, on_pairs):
    whole = sfda_kit("cache", "verify")
    assert whole.exit_code == 0 and ", 0 damaged" in whole.stdout
    bridge = next((filled / "stages" / "bridge").rglob("*.safetensors"))
    files = [next((filled / "decoded").rglob("pixels.npy")), next((filled / "rooms").rglob("*.npy")), bridge]
    for path in files:
        with path.open("r+b") as file:
            file.seek(path.stat().st_size // 2)
            byte = file.read(1)[0]
            file.seek(-1, os.SEEK_CUR)
            file.write(bytes([byte ^ 1]))
    found = sfda_kit("cache", "verify", "--json")
    assert found.exit_code == 1 and set(last_json(found)["damaged"]) == {*map(str, files[:2]), str(bridge.parent)}
    assert "damaged and set aside" in " ".join(entry["what"] for entry in told(sfda_kit)["stages"])
    assert sfda_kit("cache", "verify").exit_code == 0
    assert sfda_kit("run", "--method", "tgmb", *on_pairs).exit_code == 0
    assert bridge.exists()


def test_sizes_are_told_in_decimal_units():
    assert [size_text(size) for size in (12, 1234, 20_300_000, 5 * 10**13)] == ["12 B", "1.2 kB", "20.3 MB", "50.0 TB"]
