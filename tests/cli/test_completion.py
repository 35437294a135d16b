"""What the shell offers for half a word, asked as bash asks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sfda_kit.cli.app import app


def offered(line: str) -> list[str]:
    words = line.split(" ")
    asked = {
        "_SFDA_KIT_COMPLETE": "complete_bash",
        "COMP_WORDS": " ".join(["sfda-kit", *words]),
        "COMP_CWORD": str(len(words)),
    }
    return CliRunner().invoke(app, [], env=asked, prog_name="sfda-kit").output.splitlines()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("run --method source", ["source-only"]),
        ("run --dataset ro", ["rooms"]),
        ("run --preset scr", ["scratch"]),
        ("run --select las", ["last"]),
        ("run --labeler no", ["none"]),
        ("adapt --aligner infom", ["infomax"]),
        ("adapt --tracker tensor", ["tensorboard"]),
        ("ablate --bridge none,cop", ["none,copy"]),
        ("bench rooms-m", ["rooms-mini"]),
        ("bench ret", ["retry"]),
        ("bench status sun", ["sun-rgbd"]),
        ("bench rooms --executor loc", ["local"]),
        ("reproduce shot-vis", ["shot-visda-c"]),
        ("data stats ro", ["rooms"]),
        ("plugins show source-on", ["source-only"]),
        ("plugins list --kind alig", ["aligner"]),
    ],
)
def test_names_are_completed(line: str, expected: list[str]):
    assert offered(line) == expected


def test_run_folders_are_completed(private_home: Path):
    for name in ("runs/shot-1", "runs/suite/shot-2", "runs/empty"):
        Path(name).mkdir(parents=True)
    for name in ("runs/shot-1", "runs/suite/shot-2"):
        (Path(name) / "config.yaml").touch()
    assert offered("predict --run ") == ["runs/empty/", "runs/shot-1", "runs/suite/"]
    assert offered("export --run runs/suite/sh") == ["runs/suite/shot-2"]
    assert offered(f"export --run {private_home}/runs/shot") == [f"{private_home}/runs/shot-1"]
    assert offered("export --run nowhere/x") == [""]


@pytest.mark.slow
def test_completion_imports_no_torch():
    program = (
        "import sys\nfrom sfda_kit.cli import completion\n"
        "for offer in (completion.suites, completion.cards, completion.presets, *completion.OF_SETTINGS.values()):\n"
        "    assert offer('')\n"
        "print([name for name in ('torch', 'timm', 'sklearn') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
