"""``-q``, ``-v`` and ``NO_COLOR``; what the library logs where nobody listens."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sfda_kit.cli.app import app, main
from sfda_kit.events import Event, hearing, logged, say

COLOUR = re.compile(r"\x1b\[[0-9;]*3[0-9]m")


@pytest.mark.slow
def test_quiet_prints_the_result_alone_and_the_end_names_what_comes_next(sfda_kit, on_pairs, private_home: Path):
    run = ["run", "--method", "source-only", *on_pairs, "--resume"]
    first = sfda_kit(*run).output
    (folder,) = Path("runs").iterdir()
    assert first.splitlines()[-4:] == [
        "next:",
        f"  sfda-kit predict IMAGES --run {folder}",
        f"  sfda-kit export --run {folder}",
        "  sfda-kit leaderboard show runs",
    ]
    quiet, after, loud = (sfda_kit(*line).output for line in (["-q", *run], [*run, "--quiet"], ["-v", *run]))
    assert quiet == after and quiet.splitlines()[-1] == f"written to {folder}"
    assert "notice:" not in quiet and "next:" not in quiet and "source-only" in quiet
    assert f"sfda_kit.results.journal: the run folder is {folder}" in loud and "next:" in loud


def test_quiet_and_verbose_contradict_each_other(sfda_kit):
    result = sfda_kit("-q", "plugins", "list", "-v")
    assert result.exit_code == 2 and "-q and -v contradict each other" in str(result.exception)


@pytest.mark.parametrize(("flags", "has_traceback"), [([], False), (["-v"], True)])
def test_only_verbose_shows_the_traceback_of_a_mistake(flags, has_traceback, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["sfda-kit", *flags, "reproduce", "nope"])
    with pytest.raises(SystemExit):
        main()
    error = capsys.readouterr().err
    assert "There is no card 'nope'" in error and ("Traceback" in error) is has_traceback


def test_what_stands_behind_two_dashes_is_no_option(sfda_kit):
    result = sfda_kit("source", "show", "--", "-v")
    assert "There is no source card at -v" in str(result.exception)


@pytest.mark.parametrize("command", ["plugins list", "bench list", "reproduce --list"])
def test_no_color_is_honoured(command: str, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("NO_COLOR", "1")
    assert not COLOUR.search(CliRunner().invoke(app, command.split()).output)


def test_library_calls_are_silent_but_for_logging(caplog):
    assert any(isinstance(handler, logging.NullHandler) for handler in logging.getLogger("sfda_kit").handlers)
    with caplog.at_level(logging.INFO, "sfda_kit"):
        logged(Event("notice", data={"text": "a word"}))
        logged(Event("step"))
        say("set aside")
    assert [record.getMessage() for record in caplog.records] == ["a word", "set aside"]


def test_what_is_said_goes_to_the_listener_in_place_of_the_log(caplog):
    heard: list[Event] = []
    with hearing(heard.append):
        say("set aside")
    with hearing(logged):  # what a listener logs is not heard again
        say("once")
    assert [event.data["text"] for event in heard] == ["set aside"] and caplog.records == []
