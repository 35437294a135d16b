from __future__ import annotations

import os
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfda_kit.data.walk import list_folder, natural_key, walk
from sfda_kit.errors import DataError


def test_loops_end_and_every_folder_is_seen_once(tmp_path):
    for name in ("a/b", "c"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    (tmp_path / "c" / "across").symlink_to(tmp_path / "a")
    (tmp_path / "self").symlink_to(tmp_path / "self")
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    seen = [folder.path.relative_to(tmp_path).as_posix() for folder, _ in walk(tmp_path)]
    assert seen == [".", "a", "a/b", "c"]
    assert list_folder(tmp_path).files == ("gone", "self")


def test_the_caller_may_keep_the_walk_from_going_deeper(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    seen = []
    for folder, enter in walk(tmp_path):
        seen.append(folder.path.name)
        if folder.path.name == "a":
            enter.clear()
    assert seen == [tmp_path.name, "a"]


def test_hidden_entries_are_passed_over(tmp_path):
    (tmp_path / ".git").mkdir()
    (tmp_path / "._x.jpg").touch()
    assert list_folder(tmp_path).folders == list_folder(tmp_path).files == ()


@pytest.mark.skipif(sys.platform != "linux", reason="only there may a name be any bytes")
def test_names_that_are_not_utf8(tmp_path):
    (tmp_path / os.fsdecode(b"\xff.png")).touch()
    with pytest.raises(DataError, match="not UTF-8"):
        list_folder(tmp_path)


def test_folders_that_cannot_be_listed(tmp_path):
    with pytest.raises(DataError, match="cannot be listed"):
        list_folder(tmp_path / "missing")


@given(st.lists(st.text(alphabet="ab019_²", max_size=6)))
def test_natural_order_is_an_order(names):
    assert sorted(sorted(names, reverse=True), key=natural_key) == sorted(sorted(names), key=natural_key)
    assert sorted(["f10", "f9", "f1"], key=natural_key) == ["f1", "f9", "f10"]
