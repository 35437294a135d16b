"""What a user is told when Ray cannot do what was asked."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest
from sfda_kit_ray.quiet import ray

from sfda_kit import UserError, build_part
from sfda_kit.testing.jobs import small_job

pytestmark = pytest.mark.xdist_group("ray")


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("workers", 0),
        ("cpus", 0),
        ("cpus", "many"),
        ("gpus", 1.5),
        ("gpus", -1),
        ("max_retries", -2),
        ("max_retries", "x"),
        ("processes", 0),
    ],
)
def test_an_option_out_of_range_is_named(option: str, value: Any) -> None:
    with pytest.raises(UserError, match=f"'ray' got {option}={value}; expected"):
        build_part("executor", "ray", {option: value})


@pytest.mark.parametrize("scheme", ["", "ray://"])
def test_nobody_at_the_address(scheme: str, tmp_path: Path) -> None:
    with socket.socket() as taken:  # bound and not listening: nothing answers there
        taken.bind(("127.0.0.1", 0))
        message = message_of(tmp_path, address=f"{scheme}127.0.0.1:{taken.getsockname()[1]}")
    assert "No Ray cluster answers" in message
    assert "ray status" in message


@pytest.mark.parametrize("address", ["nonsense", "ray://host:port"])
def test_not_an_address(address: str, tmp_path: Path) -> None:
    message = message_of(tmp_path, address=address)
    assert address in message
    assert "ray://HOST:PORT" in message


def test_no_cluster_on_this_node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray, "init", lambda **_: (_ for _ in ()).throw(ConnectionError("no running instance")))
    assert "No Ray cluster answers at address=auto: no running instance" in message_of(tmp_path, address="auto")


@pytest.mark.slow
def test_a_cell_larger_than_this_computer(tmp_path: Path) -> None:
    message = message_of(tmp_path, cpus=100_000)
    assert "One cell asks for 100000 CPU, this computer has" in message
    assert not ray.is_initialized(), "the Ray that was started for it goes on"


def message_of(tmp_path: Path, **options: Any) -> str:
    with pytest.raises(UserError) as caught:
        list(build_part("executor", "ray", options).run([small_job(tmp_path)]))
    return str(caught.value)
