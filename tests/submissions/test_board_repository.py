"""The repository of a public board: workflows that a pull request of a stranger cannot turn against it."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from sfda_kit import __version__
from sfda_kit.plugins.shipped import SHIPPED

BOARD = Path(__file__).parents[2] / "docs" / "board-repository"
WORKFLOWS = sorted((BOARD / ".github" / "workflows").glob("*.yml"))


def loaded(path: Path) -> dict[Any, Any]:
    found = yaml.safe_load(path.read_text())
    assert isinstance(found, dict)
    return found


def steps(workflow: dict[Any, Any]) -> list[dict[str, Any]]:
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


def test_there_is_what_the_page_names():
    assert [path.name for path in WORKFLOWS] == ["check.yml", "publish.yml"]
    assert loaded(BOARD / ".github" / "ISSUE_TEMPLATE" / "submission.yml")["body"]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_no_expression_is_pasted_into_a_command(path: Path):
    """`${{ }}` in a script is text of whoever opened the pull request, run by a shell."""
    scripts = [step["run"] for step in steps(loaded(path)) if "run" in step]
    assert scripts and not any("${{" in script for script in scripts)
    assert "secrets" not in path.read_text().replace("no secrets", "")


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_rights_are_few(path: Path):
    workflow = loaded(path)
    assert workflow["permissions"] == {"contents": "read"}
    checkouts = [step for step in steps(workflow) if str(step.get("uses", "")).startswith("actions/checkout")]
    assert checkouts and all(step["with"]["persist-credentials"] is False for step in checkouts)
    for name, job in workflow["jobs"].items():
        assert set(job.get("permissions", {})) <= ({"pages", "id-token"} if name == "deploy" else set())


def test_pull_requests_are_checked_without_rights():
    workflow = loaded(BOARD / ".github" / "workflows" / "check.yml")
    assert set(workflow[True]) == {"pull_request"}  # YAML 1.1 reads the key `on` as true


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_commands_exist(path: Path):
    import typer

    from sfda_kit.cli.app import app

    root: Any = typer.main.get_command(app)
    called = re.findall(r"sfda-kit leaderboard (\w+)([^\n|<]*)", path.read_text())
    assert called
    for name, rest in called:
        command = root.commands["leaderboard"].commands[name]
        known = {option for parameter in command.params for option in parameter.opts}
        assert set(re.findall(r"--[a-z-]+", rest)) <= known


def test_versions_are_those_of_this_release():
    names = dict(re.findall(r"^([a-z-]+)==(\S+)$", (BOARD / "requirements.txt").read_text(), flags=re.MULTILINE))
    assert set(names) <= {"sfda-kit", *SHIPPED.values()} and set(names.values()) == {__version__}


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A board with one archive, and what a runner has in its environment."""
    if not (shutil.which("git") and shutil.which("bash")):
        pytest.skip("needs git and bash")
    for name in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{name}_NAME", "a")
        monkeypatch.setenv(f"GIT_{name}_EMAIL", "a@example.org")
    monkeypatch.setenv("RUNNER_TEMP", str(tmp_path))
    root = tmp_path / "board"
    (root / "submissions").mkdir(parents=True)
    (root / "submissions" / "old.zip").write_text("old")
    git(root, "init", "--quiet", "--initial-branch=main")
    git(root, "add", ".")
    git(root, "commit", "--quiet", "--message=first")
    return root


def git(root: Path, *arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=root, check=True)


def merged(root: Path) -> subprocess.CompletedProcess[str]:
    """What the step says about the merge of a pull request with the files that lie in ``root`` now."""
    git(root, "checkout", "--quiet", "-b", "theirs")
    git(root, "add", "--all", ".")
    git(root, "commit", "--quiet", "--message=theirs")
    git(root, "checkout", "--quiet", "main")
    git(root, "merge", "--quiet", "--no-ff", "--message=merge", "theirs")
    found = steps(loaded(BOARD / ".github" / "workflows" / "check.yml"))
    script = next(step["run"] for step in found if step.get("name") == "Only new archives")
    return subprocess.run(["bash", "-c", script], cwd=root, capture_output=True, text=True, check=False)


def test_new_archives_are_listed(repository: Path, tmp_path: Path):
    (repository / "submissions" / "one.zip").write_text("1")
    (repository / "submissions" / "two.v2.zip").write_text("2")
    assert merged(repository).returncode == 0
    assert (tmp_path / "archives").read_bytes() == b"submissions/one.zip\0submissions/two.v2.zip\0"


@pytest.mark.parametrize(
    "name",
    [
        "submissions/$(touch evil).zip",
        "submissions/a.zip; touch evil;.zip",
        "submissions/a\n::set-output name=x::y.zip",
        "submissions/-rf.zip",
        "submissions/deep/a.zip",
        "submissions/a.zip.py",
        "sfda_kit/__init__.py",
        ".github/workflows/check.yml",
        "submissions/old.zip",
    ],
)
def test_anything_else_is_refused(repository: Path, name: str):
    path = repository / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("theirs")
    result = merged(repository)
    assert result.returncode == 1 and "only adds files submissions/NAME.zip" in result.stdout
    assert not any(line.startswith("::") for line in result.stdout.splitlines())
    assert not list(repository.rglob("evil"))


def test_links_are_refused(repository: Path):
    (repository / "submissions" / "link.zip").symlink_to("/etc/passwd")
    assert merged(repository).returncode == 1
