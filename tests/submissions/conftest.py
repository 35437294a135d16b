"""Two finished runs on a tiny `rooms`, made once, and the archive they give."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from .hostile import Files, signed

ROOMS = {"scenes": 0.03}
TINY = {"backbone": "test_resnet", "image_size": 32, "bottleneck": 8}


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Run folders by method: source-only, and the oracle, which has a history of several epochs."""
    from sfda_kit.config.loading import load_config
    from sfda_kit.events import silent
    from sfda_kit.runs.labelled import run_plan as run
    from sfda_kit.runs.plan import resolve

    home = tmp_path_factory.mktemp("submitter")
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SFDA_KIT_CACHE", str(home / "cache"))
        for method in ("source-only", "oracle"):
            settings = {
                "method": method,
                "dataset": {"name": "rooms", "options": ROOMS, "minimum_images": 1},
                "model": TINY,
                "source": {"epochs": 2, "batch_size": 16, "floor": 0},
            }
            record = run(resolve(load_config(settings)), home / "runs", False, silent)
            found[method] = Path(record.run_dir)
    return found


@pytest.fixture(scope="session")
def packed(runs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The archive of both runs, as the command packs it."""
    from sfda_kit.submissions.pack import pack

    out = tmp_path_factory.mktemp("packed") / "both.zip"
    return pack(list(runs.values()), out, {"submitter": "Ada"}, pictures=True).path


@pytest.fixture
def files(packed: Path) -> Files:
    """What is in the archive, to be spoilt; ``signed`` makes an archive of it again."""
    from sfda_kit.submissions.archive import read_archive
    from sfda_kit.submissions.findings import ArchiveFindings

    return Files(read_archive(packed.read_bytes(), ArchiveFindings()))


@pytest.fixture
def check(
    tmp_path: Path, sfda_kit: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[int, str]]:
    """Exit code and output of `leaderboard verify` on an archive, without a process of its own (for speed)."""
    from sfda_kit.submissions import sandbox, verify

    monkeypatch.setattr(sandbox, "verify_in_sandbox", lambda data, rules, timeout: verify.verify(data, rules))

    def call(archive: bytes | Files, *flags: str | Path) -> tuple[int, str]:
        path = tmp_path / "handed-in.zip"
        path.write_bytes(archive if isinstance(archive, bytes) else signed(archive))
        result = sfda_kit("leaderboard", "verify", path, *flags)
        return result.exit_code, result.output

    return call
