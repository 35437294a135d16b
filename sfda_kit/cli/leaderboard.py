"""``sfda-kit leaderboard``: tables of finished runs, which show which differences are real."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sfda_kit.cli import leaderboard_archive, leaderboard_site

if TYPE_CHECKING:
    from sfda_kit.leaderboard import Board

app = typer.Typer(help="Tables of finished runs: comparable rows, real differences.", no_args_is_help=True)
app.command("pack")(leaderboard_archive.pack)
app.command("verify")(leaderboard_archive.verify)
app.command("add")(leaderboard_archive.add)
app.command("build")(leaderboard_site.build)
app.command("serve")(leaderboard_site.serve)

FORMATS = ("rich", "markdown", "latex", "csv")


@app.command("show")
def show(
    records: Annotated[
        list[Path], typer.Argument(help="Folders that hold run folders, at any depth.", show_default=False)
    ],
    format_: Annotated[str, typer.Option("--format", help="rich, markdown, latex (booktabs) or csv.")] = "rich",
    metric: Annotated[
        str | None,
        typer.Option(
            help="Rank by heldout_accuracy, heldout_mean_class_accuracy, heldout_auroc, or the same with transductive.",
            show_default="the mean over classes with folds or protocol paper, else heldout_accuracy",
        ),
    ] = None,
    configurations: leaderboard_site.Configurations = False,
) -> None:
    """Show runs as tables: one a task and network, one row a variant, ranked where rows are comparable."""
    from sfda_kit.cli.output import results
    from sfda_kit.cli.predict import check_choice
    from sfda_kit.leaderboard import RANKING_METRICS, build_board
    from sfda_kit.results.collection import found_runs

    check_choice("--format", format_, FORMATS)
    if metric is not None:
        check_choice("--metric", metric, RANKING_METRICS)
    board = build_board(found_runs(records), metric, configurations)
    if format_ == "rich":
        from sfda_kit.leaderboard.render.terminal import show_board

        show_board(results(), board)
    else:
        typer.echo(_text(board, format_), nl=False)


def _text(board: Board, format_: str) -> str:
    from sfda_kit.leaderboard.render.csv_table import csv_text
    from sfda_kit.leaderboard.render.latex import latex
    from sfda_kit.leaderboard.render.markdown import markdown

    return {"markdown": markdown, "latex": latex, "csv": csv_text}[format_](board)
