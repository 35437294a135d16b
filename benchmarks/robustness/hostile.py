"""Hostile arguments and files given to every command: each must end soon, in few words, without a traceback."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import typer.main
from outcomes import Outcomes, judged, timed
from typer.testing import CliRunner

from sfda_kit.cli.app import app
from sfda_kit.errors import SfdaKitError, printable

TEXTS = [
    *(
        "",
        " ",
        "x" * 100_000,
        "\x1b[2J\x1b]0;owned\x07",
        "\u202egnp.exe",
        "../../etc/passwd",
        "/dev/zero",
        "/proc/self/mem",
    ),
    *(
        "-1",
        "9" * 400,
        "1e999",
        "nan",
        "a,b,a",
        ",",
        "=",
        "a=b=c",
        "[[[[",
        "{a: *b}",
        "!!python/name:os.system",
        "'; drop table",
    ),
]
LONGEST_ANSWER = 10_000


def give_hostile_inputs(outcomes: Outcomes, folder: Path, most: int, seed: int = 0) -> None:
    """Give up to ``most`` hostile arguments, drawn from all pairs of a parameter and a text, and as many files."""
    place = folder / "hostile"
    place.mkdir(exist_ok=True)
    os.environ["SFDA_KIT_CACHE"] = str(place / "cache")
    arguments = list(_arguments(place))
    drawn = random.Random(seed)
    chosen, files = (drawn.sample(all_, min(most, len(all_))) for all_ in (arguments, list(_files(place))))
    with timed(outcomes, "hostile inputs"):
        for fault, words in (("hostile argument", chosen), ("hostile file", files)):
            for given in words:
                outcome, text = _answer(given, outcomes.longest)
                outcomes.add(fault, outcome, f"{str(given)[:300]}\n{text}")


def _answer(words: list[str], longest: int) -> tuple[str, str]:
    shown = ""

    def call() -> None:
        nonlocal shown
        result = CliRunner().invoke(app, words)
        shown = result.output + printable(str(result.exception or "")[:4100])  # as it is shown in the end
        if result.exception and not isinstance(result.exception, (SystemExit, SfdaKitError)):
            raise result.exception
        if result.exit_code:
            raise SfdaKitError(shown)

    outcome, text = judged(call, longest)
    if outcome in ("taken", "refused") and ("\x1b" in shown.replace("\\x1b", "") or len(shown) > LONGEST_ANSWER):
        return "corrupt", f"the terminal is written to: {shown[:500]!r}"
    return outcome, text


def _commands(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _commands(command, (*path, name))
        else:
            yield (*path, name), command


SAFE = {
    ("run",): ["--method", "shot", "--dataset", "paired-folder", "--data-root", "nowhere"],
    ("adapt",): ["--method", "shot", "--target-dir", "nowhere", "--source-card", "nowhere"],
    ("ablate",): ["--method", "shot", "--dataset", "paired-folder", "--data-root", "nowhere"],
    ("source", "train"): ["--dataset", "paired-folder", "--data-root", "nowhere"],
}
"""Arguments with which a command does no work, whatever else it is given."""
LEFT_OUT = {("leaderboard", "serve"), ("bench", "run"), ("data", "make-twin"), ("data", "make-crops")}
"""Commands that would work for long where the hostile argument is only a name."""


def _arguments(place: Path) -> Iterator[list[str]]:
    """Yield each option and argument of each command with each hostile text."""
    for path, command in _commands(typer.main.get_command(app)):
        if path in LEFT_OUT:
            continue
        required = [text for one in command.params if one.required for text in _with(one, str(place / "nothing"))]
        for parameter in command.params:
            others = [
                text
                for one in command.params
                if one.required and one is not parameter
                for text in _with(one, "nothing")
            ]
            for text in TEXTS:
                given = _with(parameter, text)
                if given:
                    yield [*path, *(SAFE.get(path) or others), *given]
        yield [*path, *required]


def _with(parameter: Any, text: str) -> list[str]:
    if isinstance(parameter, click.Argument):
        return [text]
    if getattr(parameter, "is_flag", False) or parameter.name in ("help", "runs_dir", "out"):
        return []
    return [f"{parameter.opts[0]}={text}"] if parameter.opts[0].startswith("--") else []


def _files(place: Path) -> Iterator[list[str]]:
    """Yield commands that read a pipe, a device, a folder, a link to itself, or a file that unpacks to a huge value."""
    bomb = "a: &a [" + "x, " * 9 + "x]\n"
    bomb += "".join(f"{b}: &{b} [{', '.join([f'*{a}'] * 10)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True))
    contents = {
        "bomb.yaml": bomb.encode(),
        "deep.yaml": b"[" * 100_000,
        "deep.json": b"[" * 100_000,
        "digits.yaml": b"seed: " + b"9" * 6000,
        "classes.yaml": b"dataset: {tr_classes: [" + b",".join(b"c%d" % n for n in range(200_000)) + b"]}",
        "seeds.yaml": b"seeds: [" + b",".join(b"%d" % n for n in range(100_000)) + b"]",
        "latin.yaml": "klasse: Größe".encode("latin-1"),
        "empty": b"",
        "zip.zip": b"PK\x05\x06" + bytes(18),
        "two.pt": b"\x80\x02",
    }
    for name, content in contents.items():
        (place / name).write_bytes(content)
    for name, make in (("pipe", os.mkfifo), ("loop", lambda path: path.symlink_to(path))):
        if not os.path.lexists(place / name):
            make(place / name)
    for path in [
        *(place / name for name in (*contents, "pipe", "loop")),
        Path("/dev/zero"),
        Path("/proc/kcore"),
        place,
    ]:
        for words in (
            *(["run", "--config"], ["bench", "status"], ["reproduce"], ["source", "show"], ["leaderboard", "verify"]),
            *(["source", "import", "--backbone", "test_resnet", "--classes", "a,b"], ["predict", "--run", "nowhere"]),
            *(
                ["predict", str(place / "empty"), "--run"],
                ["export", "--format", "onnx", "--run"],
                ["results", "query", "select 1", "--records"],
            ),
            ["data", "verify", "list-file", "--data-root"],
        ):
            yield [*words, str(path)]
