"""What a terminal shows: a view that fits, one line for what matters, no traceback on Ctrl-C."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from sfda_kit.cli.label_free_table import show_label_free
from sfda_kit.cli.live import LiveReport, PlainReport
from sfda_kit.cli.result_table import PARTS, SCORES, show_record
from sfda_kit.events import Event, Listener, reading_progress
from sfda_kit.results.record import Record


def terminal(width: int = 80) -> Console:
    return Console(file=StringIO(), force_terminal=True, width=width, height=40, color_system=None)


def lines(console: Console) -> list[str]:
    assert isinstance(console.file, StringIO)
    return console.file.getvalue().splitlines()


def view(report: LiveReport) -> list[str]:
    console = terminal(report.console.width)
    console.print(report.view)
    return [line.rstrip() for line in lines(console)]


def two_epochs(listener: Listener, classes: int = 12) -> None:
    reading_progress(listener)("rendering target-train depth@xtion", 2400, 3600)
    listener(Event("stage", "adapt", {"epochs": 1000, "steps": 1000, "done": 0}))
    for epoch in range(2):
        listener(Event("step", "adapt", {"epoch": epoch, "step": 0, "terms": {"infomax": 0.25, "ti-features": 1.5}}))
        signals = {"churn": 0.125, "histogram": list(range(classes))}
        figures = {"transductive_accuracy": 50.0, "heldout_accuracy": 40.0}
        listener(Event("epoch", "adapt", {"epoch": epoch + 1, "figures": figures, "signals": signals}))


def test_before_the_first_stage_reading_is_shown():
    report = LiveReport(terminal())
    assert any("preparing" in line for line in view(report))
    reading_progress(report)("rendering source rgb@kv1", 400, 2400)
    assert any("rendering source rgb@kv1" in line and "400/2400" in line for line in view(report))


def test_the_live_view_shows_bars_losses_churn_and_classes():
    report = LiveReport(terminal())
    two_epochs(report)
    shown = view(report)
    assert shown[0].startswith("adapt ") and "1001/1000000" in shown[0]
    assert shown[1].startswith("epoch 2") and "1/1000" in shown[1]
    rest = dict(line.split("  ", 1) for line in shown[2:])
    assert rest["held-out accuracy"].strip() == "40.0 %"
    assert rest["pseudo-label churn"].strip() == "12.5 %"
    assert rest["loss infomax"].strip() == "0.2500"
    assert len(rest["predicted classes"].strip()) == 12
    assert lines(report.console) == ["adapt: 1000 epochs of 1000 steps"]


@pytest.mark.parametrize("width", [60, 80, 200])
def test_no_line_of_the_live_view_wraps(width):
    report = LiveReport(terminal(width))
    two_epochs(report, classes=400)
    assert len(view(report)) == 2 + 4 + 2
    assert max(map(len, view(report))) <= width
    reading_progress(report)("rendering target-train depth@xtion", 360_000, 3_600_000)
    assert "rendering target-train" in view(report)[0] and "3600000" in view(report)[0]


def test_a_pipe_gets_a_line_for_what_is_read_each_stage_and_each_epoch():
    console = Console(file=StringIO(), width=80)
    two_epochs(PlainReport(console))
    assert [line.split(":")[0].split("  transductive")[0].strip() for line in lines(console)] == [
        "rendering target-train depth@xtion",
        "adapt",
        "adapt 1/1000",
        "adapt 2/1000",
    ]


def test_a_state_that_was_not_trained_has_no_epoch_and_no_loss():
    console = Console(file=StringIO(), width=80)
    report = PlainReport(console)
    two_epochs(report)
    report(Event("epoch", "as-is", {"epoch": 0, "figures": {"heldout_accuracy": 40.0}}))
    report(Event("epoch", "own-loop", {"epoch": 3, "figures": {}}))
    assert [line.rstrip() for line in lines(console)[-2:]] == ["  as-is  held-out accuracy 40.0 %", "  own-loop 3"]


def finished_record() -> Record:
    scores = {f"{part}_{score}": 100.0 for part in PARTS for score in SCORES}
    return Record(
        run_id="r",
        status="ok",
        method="a-method-of-some-plugin",
        run_dir="runs/r",
        synthetic=True,
        task={"dataset": "paired-folder", "source": "rgb@a-long-camera-name", "target": "thermal@another-camera"},
        metrics={**scores, "source_accuracy": 100.0},
        baselines={"source-only": scores, "bridge": scores},
        cost={"wall_s": 86400.0, "peak_memory_mb": 123456.0, "trained_parameters": 1e9},
    )


def test_the_final_table_fits_on_a_terminal():
    console = terminal()
    show_record(console, finished_record())
    shown = lines(console)
    assert len(shown) == 1 + (1 + 6) + 3
    assert max(map(len, shown[1:])) <= 80


def test_the_final_table_without_labels_fits_too():
    console = terminal()
    names = [f"class number {code}" for code in range(30)]
    entry = {"histogram": [3] * 30, "entropy": 1.0, "source_agreement": 1.0, "bridge_agreement": 1.0}
    models = {
        name: {**entry, "validators": {"source-agreement": -1e-9}} for name in ("source-only", "bridge", "adapted")
    }
    task = {"source": "rgb", "target": "depth", "images": {"target-train": 90, "ti": 8}, "classes": names}
    show_label_free(console, finished_record().model_copy(update={"task": task, "signals": {"models": models}}))
    shown = lines(console)
    assert len(shown) == 1 + (1 + 30) + (1 + 4) + 3 + 2
    assert max(map(len, shown)) <= 80
    assert not any("-0.000" in line for line in shown)


@pytest.mark.slow
def test_a_finished_run_says_so_in_one_line(sfda_kit, on_pairs):
    arguments = ["run", "--method", "source-only", *on_pairs, "--resume"]
    assert "already finished" not in sfda_kit(*arguments).stdout
    again = sfda_kit(*arguments).stdout.splitlines()
    assert again[0] == "notice: this run had already finished; nothing was computed again"


@pytest.mark.slow
@pytest.mark.needs_plugin("sfda-kit-shot")
def test_ctrl_c_on_a_terminal_is_one_message_and_exit_code_130(on_pairs):
    pty = pytest.importorskip("pty")
    # Tests started in the background inherit an ignored SIGINT; a user's shell never does that to a command.
    code = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from sfda_kit.cli.app import main\nmain()"
    )
    command = [sys.executable, "-c", code, "run", "--method", "shot", *on_pairs, "--epochs", "5000", "--json"]
    environment = {name: value for name, value in os.environ.items() if name != "CI"} | {"TERM": "xterm-256color"}
    primary, secondary = pty.openpty()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=secondary)
    os.close(secondary)
    shown = b""
    while b"epoch 2" not in shown:
        shown += os.read(primary, 65536)
    process.send_signal(signal.SIGINT)
    while chunk := read_or_end(primary):
        shown += chunk
    stdout = process.communicate(timeout=60)[0].decode()
    assert process.returncode == 130
    assert shown.decode().count("Interrupted; continue with --resume") == 1 and b"Traceback" not in shown
    summary = json.loads(stdout.splitlines()[-1])
    assert summary["status"] == "failed" and "--resume" in summary["error"]
    assert list(Path("runs").glob("*/config.yaml"))


def read_or_end(terminal_end: int) -> bytes:
    try:
        return os.read(terminal_end, 65536)
    except OSError:  # Linux says so when the last writer has closed a pseudo-terminal
        return b""


def test_ctrl_c_where_nothing_can_be_resumed(sfda_kit, monkeypatch):
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("sfda_kit.plugins.discovery.installation", interrupted)
    assert str(sfda_kit("plugins", "list").exception) == "Interrupted"
