"""``sfda-kit leaderboard build`` and ``serve`` as a user meets them."""

from __future__ import annotations

import socket
import threading
import urllib.request
from collections.abc import Callable
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest
from typer.testing import Result

from sfda_kit.errors import UserError
from sfda_kit.leaderboard.site.serve import server

from .made_runs import write_run

Command = Callable[..., Result]


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    return write_run(tmp_path / "runs").parent


def test_build_writes_the_site_and_prints_its_first_page(sfda_kit: Command, runs: Path, tmp_path: Path):
    done = sfda_kit("leaderboard", "build", runs, "--out", tmp_path / "board")
    assert done.exit_code == 0
    assert done.stdout.strip() == str(tmp_path / "board" / "index.html")
    assert (tmp_path / "board" / "index.html").is_file()


def test_build_ranks_by_the_metric_that_was_asked_for(sfda_kit: Command, runs: Path, tmp_path: Path):
    sfda_kit("leaderboard", "build", runs, "--out", tmp_path / "board", "--metric", "transductive_accuracy")
    assert "ranked by accuracy (transductive)" in (tmp_path / "board" / "index.html").read_text()


def test_build_refuses_a_folder_of_something_else(sfda_kit: Command, runs: Path):
    done = sfda_kit("leaderboard", "build", runs, "--out", runs)
    assert done.exit_code == 2 and "holds something else than a leaderboard" in str(done.exception)


def test_build_refuses_a_metric_that_cannot_rank(sfda_kit: Command, runs: Path, tmp_path: Path):
    done = sfda_kit("leaderboard", "build", runs, "--out", tmp_path / "board", "--metric", "loss")
    assert done.exit_code == 2 and "--metric 'loss'" in str(done.exception)


def test_build_names_a_folder_without_runs(sfda_kit: Command, tmp_path: Path):
    done = sfda_kit("leaderboard", "build", tmp_path, "--out", tmp_path / "board")
    assert done.exit_code == 2 and "no record.json" in str(done.exception)


def test_serve_ends_with_ctrl_c_and_leaves_nothing_behind(
    sfda_kit: Command, runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    served: list[bytes] = []

    def until_interrupted(self: ThreadingHTTPServer, *_: Any) -> None:
        thread = threading.Thread(target=self.handle_request)
        thread.start()
        with urllib.request.urlopen(f"http://127.0.0.1:{self.server_port}/", timeout=10) as answer:
            served.append(answer.read())
        thread.join()
        raise KeyboardInterrupt

    monkeypatch.setattr(ThreadingHTTPServer, "serve_forever", until_interrupted)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    done = sfda_kit("leaderboard", "serve", runs, "--port", "0")
    assert done.exit_code == 0 and "http://127.0.0.1:" in done.stdout
    assert b"Leaderboard" in served[0]
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]


def test_the_server_gives_files_of_its_folder_alone(tmp_path: Path):
    (tmp_path / "board").mkdir()
    (tmp_path / "board" / "index.html").write_text("here")
    (tmp_path / "secret.txt").write_text("secret")
    with server(tmp_path / "board", 0) as serving:
        assert serving.server_address[0] == "127.0.0.1"
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{serving.server_port}"
        try:
            with urllib.request.urlopen(address, timeout=10) as answer:
                assert answer.read() == b"here" and answer.headers["Cache-Control"] == "no-store"
            for path in ("/../secret.txt", "/%2e%2e/secret.txt", "/..%2fsecret.txt"):
                with pytest.raises(HTTPError, match="404"):
                    urllib.request.urlopen(address + path, timeout=10)
        finally:
            serving.shutdown()


def test_a_port_in_use_is_named(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as other, pytest.raises(UserError, match=r"is in use.*--port"):
        server(tmp_path, other.getsockname()[1])
