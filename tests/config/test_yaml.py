"""YAML of strangers: read as plain data, or refused with one sentence before it takes time or memory."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sfda_kit.config.loading import load_config
from sfda_kit.config.yaml import parse_assignments, parse_yaml, read_yaml
from sfda_kit.errors import UserError

BOMB = "a: &a [" + "x, " * 9 + "x]\n"
BOMB += "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 10)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (BOMB, "more than 50000 values"),
        ("[" * 40 + "]" * 40, "nested too deeply"),
        ("[" * 100_000, "nest"),
        ("&a [*a]", "names nothing that ended before it"),
        ("*nowhere", "names nothing"),
        ("seeds: [" + "1," * 100_000 + "]", "more than 50000 values"),
        ("x: " + "9" * 6000, "more than 40 digits"),
        ("x: 0x" + "f" * 6000, "more than 40 digits"),
        ("!!python/object/apply:os.system [ls]", "names a type"),
        ("x: 2001-99-99", "cannot be read"),
        ("{[1]: 2}", "unhashable"),
        ("a: b: c", "line 1, column 5"),
        ("a: 1\nb: 2\na: 3", "the key 'a' stands twice"),
        ("a: \x1b[31m", "control characters"),
    ],
)
def test_hostile_text_is_refused_in_one_sentence(text, said):
    with pytest.raises(ValueError, match=said) as caught:
        parse_yaml(text)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 250


def test_aliases_and_merge_keys_of_people_are_read():
    text = "base: &base {lr: 0.1, steps: 3}\nmine: {<<: *base, steps: 4}\nagain: *base"
    assert parse_yaml(text)["mine"] == {"lr": 0.1, "steps": 4}
    with pytest.raises(ValueError, match="anchors or aliases"):
        parse_yaml(text, aliases=False)


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"\xff\xfe\x00", "not UTF-8"), (b"# " + b"x" * 2_000_001, "larger than 2 MB"), (b"- a", "must hold a mapping")],
)
def test_files_that_are_no_settings_are_refused(tmp_path, content, said):
    file = tmp_path / "settings.yaml"
    file.write_bytes(content)
    with pytest.raises(UserError, match=said):
        read_yaml(file)


def test_a_pipe_and_a_folder_are_no_settings(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, Path("/dev/zero")):
        with pytest.raises(UserError, match=r"no regular file|Cannot read"):
            read_yaml(path)


@pytest.mark.parametrize("text", ["adapt.lr=" + "9" * 6000, "a" * 100_000, ".".join("a" * 500) + "=1", "a=" + BOMB])
def test_hostile_values_on_the_command_line_are_refused_briefly(text):
    with pytest.raises(UserError) as caught:
        parse_assignments([text])
    assert len(str(caught.value)) < 400


def test_a_number_for_the_name_of_an_aligner_is_refused():
    with pytest.raises(UserError, match="3 is no name of an aligner"):
        load_config({"method": "source-only", "recipe": {"aligners": {3: 1.0}}})
