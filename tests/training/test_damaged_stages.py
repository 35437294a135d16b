"""A cached stage that is damaged in any way is set aside, told, and made again; one that is whole needs no writing."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import pytest

from sfda_kit.checksums import CHECKSUMS
from sfda_kit.errors import UserError
from sfda_kit.events import Event
from sfda_kit.training.stage_cache import cached_stage


def make(folder: Path) -> None:
    (folder / "card.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(bytes(range(256)) * 40)


def found(listener: Any = None) -> Path:
    return cached_stage("bridge", {"seed": 1}, make, listener or (lambda event: None))


DAMAGE = {
    "flipped": lambda path: path.write_bytes(path.read_bytes()[:-1] + b"x"),
    "empty": lambda path: path.write_bytes(b""),
    "gone": lambda path: path.unlink(),
    "zeroed tail": lambda path: path.write_bytes(path.read_bytes()[:-1] + b"\0"),
}


@pytest.mark.parametrize("name", ["card.json", "model.safetensors", CHECKSUMS])
@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_stage_is_set_aside_told_and_made_again(name: str, damage: Any):
    told: list[Event] = []
    folder = found()
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert found(told.append) == folder and "taken from the cache" in told.pop().data["text"]
    damage(folder / name)
    assert found(told.append) == folder
    text = told.pop().data["text"]
    assert name in text and f"cached bridge {folder} is damaged" in text and "made again" in text and not told
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert (folder.parent / f"{folder.name}.damaged").is_dir()


def test_what_a_killed_process_left_is_not_in_a_finished_stage():
    def killed(folder: Path) -> None:
        (folder / ".checkpoint.pt.x1.tmp").write_bytes(b"half a checkpoint")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cached_stage("bridge", {"seed": 1}, killed)
    assert sorted(path.name for path in found().iterdir()) == ["card.json", CHECKSUMS, "model.safetensors"]


def test_a_read_only_cache_serves_what_it_holds_and_says_why_it_makes_nothing(monkeypatch):
    folder = found()

    def read_only(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr("sfda_kit.training.stage_cache.FileLock.acquire", read_only)
    monkeypatch.setattr(Path, "mkdir", read_only)
    monkeypatch.setattr(Path, "write_text", read_only)
    assert found() == folder
    with pytest.raises(UserError, match="read-only"):
        cached_stage("bridge", {"seed": 2}, make)
