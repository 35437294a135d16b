"""An ablation in a narrow terminal."""

from __future__ import annotations

from rich.console import Console

from sfda_kit.leaderboard.render.grid_tables import TextTable
from sfda_kit.leaderboard.render.grid_terminal import _table

FIGURES = ("26.3 ± 3.4", "25.6 ± 3.5", "1,985", "5,138,955")
NAME = "socket behind the U-Net and a long tail of words"
HEADS = ("method", "held out, mean over classes", "transductive, mean over classes", "MiB", "trained")
TABLE = TextTable("cells", HEADS, ((NAME, *FIGURES),), left=1)


def test_names_give_way_between_words_and_figures_stay_whole() -> None:
    console = Console(width=70)
    with console.capture() as capture:
        console.print(_table(TABLE))
    lines = capture.get().splitlines()
    assert max(map(len, lines)) <= 70
    assert any(all(figure in line for figure in FIGURES) for line in lines)
    named = [line[: line.find("  ")] for line in lines]
    assert set(NAME.split()) <= {word for part in named for word in part.split()}
    assert "transductive," in capture.get()
