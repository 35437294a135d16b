"""What readers get: nothing a stranger wrote does anything, nothing tells of a disk, the same bytes each time."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from sfda_kit.leaderboard import Board
from sfda_kit.leaderboard.board import Comparison
from sfda_kit.leaderboard.render import markdown as markdown_module
from sfda_kit.leaderboard.render.csv_table import csv_text, safe
from sfda_kit.leaderboard.render.latex import escaped as latex_escaped
from sfda_kit.leaderboard.render.latex import latex
from sfda_kit.leaderboard.render.markdown import markdown
from sfda_kit.leaderboard.render.terminal import show_board
from sfda_kit.leaderboard.render.words import interval, plain, signed

from .made_runs import board, right, write_run

HOSTILE = (
    "<script>alert(1)</script>",
    "a | b | c",
    "[bold red]x[/bold red] [link=https://e.vil]y[/link]",
    '50% & {x}_y^z #1 $m$ ~ \\input{secret} "q"',
    "two\nlines\r\n| --- |",
    "`code` *bold* _em_ [link](javascript:alert(1)) ![x](y)",
    "\x1b[31mred\x1b[0m \u202eback\u200b",
    ":smile: =cmd()",
    "\\",
    "",
)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Board:
    root = tmp_path_factory.mktemp("hostile")
    for number, name in enumerate(HOSTILE):
        write_run(root, name, correct=right(0.5, number), name=f"run-{number}")
        write_run(root, f"{name} fails", status="failed", error=name, name=f"failed-{number}", predictions=False)
    write_run(root, "dataset", task={"dataset": HOSTILE[0] + HOSTILE[1], "fingerprint": HOSTILE[3]}, name="task")
    return board(root)


def printed(found: Board, width: int) -> str:
    console = Console(width=width, file=io.StringIO(), highlight=False, force_terminal=False)
    show_board(console, found)
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


def unescaped_pipes(line: str) -> int:
    return len(re.findall(r"(?<!\\)\|", line.replace("\\\\", "")))


def test_markdown_cells_stay_cells(hostile: Board):
    lines = markdown(hostile).splitlines()
    tables = [line for line in lines if line.startswith("|")]
    widths = {unescaped_pipes(line) for line in tables}
    assert len(tables) > 2 * len(HOSTILE) and len(widths) <= len(hostile.tables)
    text = "\n".join(lines)
    assert "<script" not in text and "&lt;script&gt;" in text
    assert not re.search(r"(?<!\\)\]\(", text) and "\x1b" not in text and "\u202e" not in text


def test_markdown_escapes_what_marks_up():
    assert markdown_module.escaped("a_b*c|d<e>`f`[g]\\") == r"a\_b\*c\|d&lt;e&gt;\`f\`\[g\]" + "\\\\"


def balanced(text: str) -> bool:
    depth = 0
    for character in re.sub(r"\\[{}\\]", "", text):
        depth += {"{": 1, "}": -1}.get(character, 0)
        if depth < 0:
            return False
    return depth == 0


def test_latex_is_well_formed(hostile: Board):
    text = latex(hostile)
    assert balanced(text)
    for name in ("table", "tabular"):
        assert text.count(rf"\begin{{{name}}}") == text.count(rf"\end{{{name}}}") == len(hostile.tables)
    for body in re.findall(r"\\begin\{tabular\}\{@\{\}(\w+)@\{\}\}(.*?)\\end\{tabular\}", text, re.DOTALL):
        for line in body[1].splitlines():
            if line.endswith(r"\\"):
                assert len(re.findall(r"(?<!\\)&", line)) == len(body[0]) - 1
    outside_math = re.sub(r"\$[^$]*\$", "", text.replace(r"\$", ""))
    assert "$" not in outside_math and not re.search(r"(?<!\\)[#_^]", outside_math)
    assert r"\input" not in text and text.count("%") - text.count(r"\%") == 1  # the comment on the package
    assert all(ord(character) <= 0x17F for character in text)


def test_latex_prints_specials():
    assert latex_escaped("50% & a_b -> {c} 中") == r"50\% \& a\_b $\to$ \{c\} ?"
    assert latex_escaped("\\x~^") == r"\textbackslash{}x\textasciitilde{}\textasciicircum{}"


@pytest.mark.parametrize("width", [40, 80, 120, 250])
def test_the_terminal_shows_names_as_they_are_within_its_width(hostile: Board, width: int):
    text = printed(hostile, width)
    assert "\x1b" not in text and "\u202e" not in text
    assert max(map(len, text.splitlines())) <= width
    if width == 250:
        assert "[bold red]x[/bold red]" in text and ":smile:" in text


def test_the_narrow_terminal_keeps_what_matters(hostile: Board):
    lines = printed(hostile, 80).splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("rank"))
    head = " ".join(lines[at - 1 : at + 1]).split()
    assert {"rank", "method", "track", "held", "out"} <= set(head) and "MiB" not in head
    text = " ".join(" ".join(lines).split())
    assert "No room here for:" in text and "; MiB" in text and "--format csv shows all." in text
    assert "No room here for" not in printed(hostile, 400)


def test_csv_has_a_line_a_row_and_no_formula(hostile: Board):
    lines = list(csv.reader(io.StringIO(csv_text(hostile))))
    assert len(lines) == 1 + sum(len(table.rows) for table in hostile.tables)
    assert {len(line) for line in lines} == {len(lines[0])}
    assert safe("=1+1") == "'=1+1" and safe("shot") == "shot"


@pytest.mark.parametrize("render", [markdown, latex, csv_text, lambda found: printed(found, 120)])
def test_no_output_tells_of_a_disk(tmp_path: Path, render):
    settings = {"adapt": {"list": "/home/somebody/lists/x.txt"}}
    write_run(tmp_path, config=settings)
    write_run(tmp_path)
    write_run(tmp_path, "broken", status="failed", error="No file '/home/somebody/lists/x.txt' here", predictions=False)
    text = render(board(tmp_path))
    assert "somebody" not in text and str(tmp_path) not in text and "x.txt" in text


def test_synthetic_images_are_said_in_every_format(tmp_path: Path):
    write_run(tmp_path, synthetic=True)
    found = board(tmp_path)
    for text in (markdown(found), latex(found), printed(found, 100)):
        assert "(synthetic images)" in text
    assert next(csv.DictReader(io.StringIO(csv_text(found))))["synthetic"] == "True"


def test_rows_without_a_result_show_how_they_ended(tmp_path: Path):
    write_run(tmp_path)
    write_run(tmp_path, "slow", status="timed_out", error="more than 60 s", predictions=False)
    text = printed(board(tmp_path), 80)
    assert re.search(r"slow \[fs?\]\s+none\s+timed out", text) and "slow, seed 0, timed out: more than 60 s" in text


def test_plain_text_is_one_short_line():
    assert plain("a\n\tb\x00c") == "a bc"
    assert len(plain("x" * 1000)) == 160


def test_signs_of_small_numbers():
    assert [signed(value) for value in (-0.04, 0.0, -0.06, 12.34)] == ["0.0", "0.0", "-0.1", "12.3"]
    assert interval(None) == ""


def test_an_interval_that_the_corrected_p_contradicts_says_so():
    found = Comparison(
        "a", "b", 5.0, 0.5, 9.5, p_value=0.03, adjusted=0.21, different=False, seeds=1, groups=40, folds=4
    )
    assert interval(found) == "5.0 [0.5, 9.5] (p 0.21)"
    assert interval(replace(found, adjusted=0.03, different=True)) == "5.0 [0.5, 9.5]"
    assert interval(replace(found, low=-0.04)) == "5.0 [-0.0, 9.5]"
