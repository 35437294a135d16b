"""``sfda-kit leaderboard build`` and ``serve``: the leaderboard as a static site."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Records = Annotated[list[Path], typer.Argument(help="Folders that hold run folders, at any depth.", show_default=False)]
Metric = Annotated[
    str | None,
    typer.Option(
        help="Rank by heldout_accuracy, heldout_mean_class_accuracy, heldout_auroc, or the same with transductive.",
        show_default="the mean over classes with folds or protocol paper, else heldout_accuracy",
    ),
]
Configurations = Annotated[
    bool, typer.Option("--configurations", help="Show all configurations of methods that have several.")
]


def build(
    records: Records,
    out: Annotated[Path, typer.Option(help="Folder to write: a new or empty one, or an older board to replace.")],
    metric: Metric = None,
    configurations: Configurations = False,
) -> None:
    """Write the leaderboard as a site of plain files: open index.html, or put the folder on any web space."""
    from sfda_kit.cli.output import results

    first = _build(records, out, metric, configurations)
    results().print(str(first), soft_wrap=True, markup=False, highlight=False)


def serve(
    records: Records,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port of 127.0.0.1; 0 takes a free one.")] = 8000,
    metric: Metric = None,
    configurations: Configurations = False,
) -> None:
    """Show the leaderboard in a browser of this computer until Ctrl-C; nothing is left on the disk."""
    from tempfile import TemporaryDirectory

    from sfda_kit.cli.output import errors, results
    from sfda_kit.leaderboard.site.serve import ADDRESS, server

    with TemporaryDirectory(prefix="sfda-kit-board-") as room:
        first = _build(records, Path(room) / "board", metric, configurations)
        with server(first.parent, port) as serving:
            address = f"http://{ADDRESS}:{serving.server_port}/"
            results().print(address, soft_wrap=True, markup=False, highlight=False)
            errors().print("Ctrl-C ends it.")
            try:
                serving.serve_forever()
            except KeyboardInterrupt:
                errors().print("Ended.")


def _build(records: list[Path], out: Path, metric: str | None, configurations: bool) -> Path:
    """Build the site of all runs below ``records`` and return its first page."""
    from sfda_kit.cli.predict import check_choice
    from sfda_kit.leaderboard import RANKING_METRICS, build_board
    from sfda_kit.leaderboard.site.build import build_site
    from sfda_kit.results.collection import found_runs

    if metric is not None:
        check_choice("--metric", metric, RANKING_METRICS)
    runs = found_runs(records)
    return build_site(build_board(runs, metric, configurations), runs, out)
