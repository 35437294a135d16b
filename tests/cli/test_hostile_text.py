"""Names of strangers in a terminal: control characters are shown, never obeyed, and long echoes are cut."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.panel import Panel
from rich.table import Table

from sfda_kit.cli import output
from sfda_kit.cli.safe_console import SafeConsole

HOSTILE = "name\x1b]0;owned\x07\x1b[2J\u202etxt"


def in_table(text: str) -> Table:
    table = Table("head")
    table.add_row(text)
    return table


@pytest.mark.parametrize("terminal", [True, False])
@pytest.mark.parametrize("wrap", [str, Panel, in_table])
def test_control_characters_are_shown_and_not_obeyed(terminal, wrap):
    console = SafeConsole(file=StringIO(), force_terminal=terminal, width=120, color_system=None)
    console.print(wrap(HOSTILE))
    shown = console.file.getvalue()
    assert "\x1b" not in shown and "\x07" not in shown and "\u202e" not in shown
    assert r"name\x1b]" in shown


def test_colours_and_line_breaks_of_our_own_stay():
    console = SafeConsole(file=StringIO(), force_terminal=True, width=20, color_system="standard")
    console.print("[red]two lines\nof text[/]")
    assert console.file.getvalue().count("\n") == 2 and "\x1b[31m" in console.file.getvalue()


def test_an_error_echo_is_cut(capsys):
    output.print_error(ValueError("y" * 100_000))
    shown = capsys.readouterr().err
    assert len(shown) < 5000 and "96000 more characters" in shown


def test_data_for_a_terminal_is_escaped_and_for_a_pipe_exact(capsys, monkeypatch):
    output.stdout().write(HOSTILE)
    assert capsys.readouterr().out == HOSTILE
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    output.stdout().write(HOSTILE + "\n")
    shown = capsys.readouterr().out
    assert "\x1b" not in shown and shown.endswith("\n")
