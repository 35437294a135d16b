"""What process 0 tells the others: results, errors and decisions."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from sfda_kit import RunError, UserError, processes

Together = Callable[[int, Callable[[], Any]], list[Any]]


def test_one_process_asks_nobody() -> None:
    assert processes.count() == 1
    assert processes.is_first()
    assert processes.by_first(lambda: 3) == 3
    assert processes.agreed("mine") == "mine"


def test_only_the_first_works_and_all_know_the_result(together: Together) -> None:
    assert together(3, lambda: processes.by_first(os.getpid) == os.getppid()) == [False, False, False]
    pids = together(3, lambda: (os.getpid(), processes.by_first(os.getpid)))
    assert [told for _, told in pids] == [pids[0][0]] * 3


def test_an_error_of_the_first_is_raised_by_all(together: Together) -> None:
    def work() -> None:
        processes.by_first(lambda: (_ for _ in ()).throw(UserError("no such folder")))

    errors = together(2, work)
    assert [(type(error), str(error)) for error in errors] == [(UserError, "no such folder")] * 2


def test_all_take_the_decision_of_the_first(together: Together) -> None:
    def work() -> tuple[int, list[int], float]:
        rank = processes.group().rank
        layer = nn.BatchNorm1d(2)
        nn.init.constant_(layer.weight, rank)
        processes.align({"layer": layer})
        order: list[int] = []
        processes.first_before_others(lambda: order.append(rank))
        return processes.agreed(rank), order, float(layer.weight.sum())

    assert together(2, work) == [(0, [0], 0.0), (0, [1], 0.0)]


def test_a_killed_process_ends_the_others(together: Together) -> None:
    def work() -> None:
        if processes.group().rank == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        processes.agreed(0)

    first, killed, third = together(3, work)
    assert killed is None
    for error in (first, third):
        assert isinstance(error, RunError)
        assert "Another process of this run has ended" in str(error)


def test_work_in_one_process_waits_for_nobody(together: Together) -> None:
    def work() -> int:
        if processes.is_first():
            with processes.alone():
                return processes.count()
        return processes.count()

    assert together(2, work) == [1, 2]


def test_half_a_launcher_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UserError, match="RANK is not set"):
        processes.launched()


def test_other_commands_are_refused(monkeypatch: pytest.MonkeyPatch, sfda_kit: Callable[..., Any]) -> None:
    for name, value in {"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "localhost", "MASTER_PORT": "1"}.items():
        monkeypatch.setenv(name, value)
    result = sfda_kit("cache", "info")
    assert result.exit_code == 2
    assert "`sfda-kit cache` in 2 processes" in str(result.exception)


def test_a_device_that_cannot_be_shared_is_refused(together: Together) -> None:
    from sfda_kit.config.models import ComputeConfig
    from sfda_kit.device import choose_device

    assert together(2, lambda: str(choose_device(ComputeConfig(device="cpu")))) == ["cpu", "cpu"]
    for error in together(2, lambda: choose_device(ComputeConfig(device="meta"))):
        assert "cannot share the device 'meta'" in str(error)


@pytest.mark.skipif(torch.cuda.device_count() > 1, reason="there is a GPU for each")
def test_each_process_needs_a_gpu_of_its_own(together: Together, monkeypatch: pytest.MonkeyPatch) -> None:
    from sfda_kit.device import _own_device

    for error in together(2, lambda: _own_device(torch.device("cuda")) and None)[1:]:
        assert "has no GPU of its own" in str(error)
