"""Tables on a narrow terminal: what must be typed stays whole, and nothing is only an ellipsis."""

from __future__ import annotations

from io import StringIO

import pytest

from sfda_kit.bench.card import shipped_cards
from sfda_kit.bench.suite import shipped_suites
from sfda_kit.cli.results import _write_table
from sfda_kit.cli.safe_console import SafeConsole
from sfda_kit.cli.tables import print_table, table_of
from sfda_kit.plugins.discovery import registry
from sfda_kit.results.query import Answer


@pytest.mark.parametrize(
    ("command", "names"),
    [
        ("reproduce --list", list(shipped_cards())),
        ("bench list", list(shipped_suites())),
        ("plugins list", [name for _, name in registry().components]),
    ],
)
def test_names_are_whole_at_80_columns(sfda_kit, command: str, names: list[str], monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    output = sfda_kit(*command.split()).output
    assert "…" not in output and {word for line in output.splitlines() for word in line.split()} >= set(names)
    assert max(map(len, output.splitlines())) <= 80


def test_a_table_is_wider_than_the_terminal_rather_than_cut():
    console = SafeConsole(file=StringIO(), width=40)
    table = table_of("name", "what it is")
    table.add_row("a-name-of-forty-characters-which-one-types", "some words that may well break into lines")
    print_table(console, table)
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert "a-name-of-forty-characters-which-one-types" in shown and "…" not in shown and console.width == 40


@pytest.mark.parametrize("width", [20, 200])
def test_a_wide_answer_is_printed_as_lines_of_name_and_value(width: int, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setattr("rich.console.Console.is_terminal", True)
    monkeypatch.setenv("NO_COLOR", "1")
    _write_table(Answer(("run_id", "seed"), [("shot-rooms-rgb_kv1-depth_kv1-s0", 3)], ()))
    lines = [
        line.strip() for line in capsys.readouterr().out.replace("\x1b[1m", "").replace("\x1b[0m", "").splitlines()
    ]
    wide, narrow = ["run_id", "seed"], ["row 1 of 1", "run_id  shot-rooms-rgb_kv1-depth_kv1-s0", "seed    3"]
    assert lines == narrow if width == 20 else lines[0].split() == wide
