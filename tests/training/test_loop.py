"""The one training loop: order, schedules, batches, resume, and losses that stop being numbers."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from sfda_kit.checksums import read_sealed, write_sealed
from sfda_kit.errors import RunError, UserError
from sfda_kit.events import Event, silent
from sfda_kit.training.checkpoint import Checkpoint, load_state, save_state
from sfda_kit.training.loop import (
    TrainingStage,
    batches,
    endless,
    seeded_generator,
    steps_per_epoch,
    train_stage,
)
from sfda_kit.training.schedules import inverse_decay, one_cycle, schedule

TARGETS = torch.randn(20, 3, generator=torch.Generator().manual_seed(5))


def stage(epochs: int, term: Any = None, weight: float = 1.0) -> TrainingStage:
    """A linear layer that learns to answer zero to noisy inputs."""
    torch.manual_seed(1)
    layer = nn.Linear(3, 2)

    def signals(epoch: int, generator: torch.Generator) -> Any:
        for rows in batches(len(TARGETS), 5, generator):
            yield TARGETS[rows] + torch.randn(5, 3, generator=generator) + torch.randn(5, 3)

    return TrainingStage(
        name="toy",
        epochs=epochs,
        steps=4,
        modules={"layer": layer},
        optimizer=torch.optim.SGD(layer.parameters(), lr=0.1, momentum=0.9),
        signals=signals,
        terms={"size": (weight, term or (lambda images: layer(images).square().mean()))},
        lr_factor=inverse_decay,
        seed=0,
        autocast=nullcontext,
    )


def weights(of: TrainingStage) -> list[float]:
    return of.modules["layer"].weight.flatten().tolist()  # type: ignore[union-attr, operator]


@pytest.mark.parametrize("stop_after", [1, 2, 3])
def test_resumed_equals_uninterrupted_bit_for_bit(tmp_path: Path, stop_after: int):
    whole = stage(4)
    assert list(train_stage(whole, Checkpoint(tmp_path / "whole.pt"), silent)) == [1, 2, 3, 4]
    checkpoint = Checkpoint(tmp_path / "cut.pt")
    running = train_stage(stage(4), checkpoint, silent)
    for _ in range(stop_after + 1):  # an epoch is saved when the next one is asked for
        next(running)
    running.close()
    again = stage(4)
    assert list(train_stage(again, checkpoint, silent)) == list(range(stop_after + 1, 5))
    assert weights(again) == weights(whole)


def test_no_gradient_lies_beside_the_passes_of_a_step_or_the_evaluation(tmp_path: Path):
    """They take as much memory as the weights."""
    trained: list[TrainingStage] = []

    def term(images: Any) -> Any:
        layer = trained[0].modules["layer"]
        assert all(parameter.grad is None for parameter in layer.parameters())
        return layer(images).square().mean()

    trained.append(stage(2, term))
    for _ in train_stage(trained[0], Checkpoint(tmp_path / "toy.pt"), silent):
        assert all(parameter.grad is None for parameter in trained[0].modules["layer"].parameters())


def test_a_resumed_stage_takes_its_rate_from_the_configuration(tmp_path: Path):
    """So a run that was rolled back goes on with a lower one, and what the optimiser remembers stays."""
    running = train_stage(stage(2), checkpoint := Checkpoint(tmp_path / "toy.pt"), silent)
    next(running)
    next(running)
    lower = stage(2)
    lower.optimizer.param_groups[0]["lr"] = 0.05
    rates: list[float] = []
    list(train_stage(lower, checkpoint, lambda _: rates.append(lower.optimizer.param_groups[0]["lr"])))
    assert rates[1:] == pytest.approx([0.05 * (1 + 10 * step / 8) ** -0.75 for step in range(4, 8)])
    assert lower.optimizer.state_dict()["state"]


def test_a_loss_that_is_not_finite_names_its_term_and_keeps_the_last_good_state(tmp_path: Path):
    calls = iter(range(100))
    trained = stage(3)
    inner = trained.terms["size"][1]
    failing = stage(3, lambda images: inner(images) * (torch.nan if next(calls) == 6 else 1.0))
    checkpoint = Checkpoint(tmp_path / "toy.pt")
    with pytest.raises(RunError, match=r"'size' became nan in stage 'toy', epoch 2, step 3"):
        list(train_stage(failing, checkpoint, silent))
    restored = stage(3)
    assert checkpoint.load(restored.modules, restored.optimizer) == 1
    assert all(torch.isfinite(torch.tensor(weights(restored))))


def test_the_rate_follows_the_schedule_and_terms_are_weighted(tmp_path: Path):
    seen: list[Event] = []
    rates: list[float] = []
    running = stage(2, weight=0.25)

    def listen(event: Event) -> None:
        seen.append(event)
        if event.kind == "step":
            rates.append(running.optimizer.param_groups[0]["lr"])

    list(train_stage(running, Checkpoint(tmp_path / "toy.pt"), listen))
    assert rates == pytest.approx([0.1 * (1 + 10 * step / 8) ** -0.75 for step in range(8)])
    assert [event.kind for event in seen[:2]] == ["stage", "step"]


def test_a_foreign_checkpoint_is_refused(tmp_path: Path):
    other = nn.Linear(3, 3)
    checkpoint = Checkpoint(tmp_path / "toy.pt")
    checkpoint.save(1, {"layer": other}, torch.optim.SGD(other.parameters(), lr=0.1))
    with pytest.raises(UserError, match=r"does not belong to this run.*Delete it"):
        list(train_stage(stage(1), checkpoint, silent))


DAMAGE = {
    "flipped": lambda content: content[:900] + bytes([content[900] ^ 1]) + content[901:],
    "truncated": lambda content: content[:-1],
    "zeroed tail": lambda content: content[:-600] + bytes(600),
    "empty": lambda content: b"",
    "foreign": lambda content: b"not a checkpoint",
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("mapped", [False, True])
def test_a_damaged_checkpoint_falls_back_to_the_one_before_bit_for_bit(
    tmp_path: Path, damage: Any, both: bool, mapped: bool, monkeypatch: pytest.MonkeyPatch
):
    if mapped:
        monkeypatch.setattr("sfda_kit.training.checkpoint.LARGE_BYTES", 0)
    whole = stage(4)
    list(train_stage(whole, Checkpoint(tmp_path / "whole.pt"), silent))
    checkpoint, told = Checkpoint(tmp_path / "cut.pt"), []
    running = train_stage(stage(4), checkpoint, silent)
    assert [next(running) for _ in range(4)][-1] == 4  # so epochs 3 and 2 are on the disk
    running.close()
    for path in (checkpoint.path, checkpoint._previous) if both else (checkpoint.path,):
        path.write_bytes(damage(path.read_bytes()))
    again = stage(4)
    done = list(train_stage(again, checkpoint, lambda event: told.append(event.data.get("text"))))
    assert done == ([1, 2, 3, 4] if both else [3, 4])
    assert weights(again) == weights(whole)
    notices = [text for text in told if text]
    assert len(notices) == 1 + both and f"{checkpoint.path} is damaged" in notices[0]
    assert (tmp_path / "cut.pt.damaged").is_file()
    checkpoint.remove()
    assert [path.name for path in tmp_path.iterdir()] == ["whole.pt", "whole.previous.pt"]


def test_a_large_state_is_written_as_a_small_one_and_mapped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    state = {"rows": torch.arange(6.0).view(2, 3), "name": "bank"}
    save_state(state, tmp_path / "one.pt")
    content = read_sealed(tmp_path / "one.pt")
    write_sealed(tmp_path / "other.pt", content)
    assert (tmp_path / "one.pt").read_bytes() == (tmp_path / "other.pt").read_bytes()
    monkeypatch.setattr("sfda_kit.training.checkpoint.LARGE_BYTES", 0)
    found = load_state(tmp_path / "one.pt")
    assert torch.equal(found["rows"], state["rows"]) and found["name"] == "bank"
    found["rows"] += 1  # a private copy: the file stays as it was
    save_state({"rows": torch.zeros(1)}, tmp_path / "one.pt")
    assert found["rows"][1, 2] == 6
    assert torch.equal(load_state(tmp_path / "other.pt")["rows"], state["rows"])


def test_a_full_disk_while_a_checkpoint_is_written_is_a_message_and_keeps_the_last_state(tmp_path: Path):
    """``torch.save`` may raise ``RuntimeError`` on a full disk, so the file keeps the error of the system."""
    resource = pytest.importorskip("resource")

    trained, checkpoint = stage(1), Checkpoint(tmp_path / "toy.pt")
    checkpoint.save(1, trained.modules, trained.optimizer)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(UserError, match=r"Cannot write .*toy.pt: the file would be larger.*--resume"):
            checkpoint.save(2, trained.modules, trained.optimizer)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert checkpoint.load(trained.modules, trained.optimizer) == 1


@given(count=st.integers(1, 60), size=st.integers(1, 20), seed=st.integers(0, 99))
def test_batches_are_full_disjoint_and_counted(count: int, size: int, seed: int):
    drawn = list(batches(count, size, torch.Generator().manual_seed(seed)))
    rows = torch.cat(drawn).tolist()
    assert len(rows) == len(set(rows)) and set(rows) <= set(range(count))
    assert len(drawn) == steps_per_epoch(count, size)
    assert all(len(batch) == min(size, count) for batch in drawn)


def test_endless_batches_go_through_everything_again():
    stream = endless(6, 3, torch.Generator().manual_seed(0))
    first, second = ({*next(stream).tolist(), *next(stream).tolist()} for _ in range(2))
    assert first == second == set(range(6))
    assert len(next(endless(0, 3, torch.Generator()))) == 0


def test_random_numbers_depend_on_every_name():
    draws = {
        torch.rand(1, generator=seeded_generator(seed, name, epoch)).item()
        for seed in (0, 1)
        for name in "ab"
        for epoch in (0, 1)
    }
    assert len(draws) == 8
    assert torch.rand(1, generator=seeded_generator(0, "a", 0)).item() in draws


def test_schedules_start_and_end_where_they_should():
    assert inverse_decay(0.0) == 1.0 and inverse_decay(1.0) == pytest.approx(11**-0.75)
    assert one_cycle(0.25) == pytest.approx(1.0) and one_cycle(0.9999) == pytest.approx(0.0, abs=1e-6)
    assert one_cycle(0.0) == pytest.approx(0.04)
    assert schedule("inverse", 10)(0.0) == pytest.approx(2**-0.75)  # SHOT counts its steps from 1
    assert schedule("inverse", 10)(0.9) == pytest.approx(11**-0.75)
    assert [schedule("constant", 4)(progress) for progress in (0.0, 0.5)] == [1.0, 1.0]
    assert [schedule("cosine", 4)(progress) for progress in (0.0, 0.5)] == pytest.approx([1.0, 0.5])


@given(st.integers(1, 40), st.integers(2, 12), st.booleans())
def test_a_pass_has_as_many_batches_as_it_says(count: int, size: int, drop_last: bool):
    drawn = list(batches(count, size, torch.Generator().manual_seed(0), drop_last))
    assert len(drawn) == steps_per_epoch(count, size, "pass", drop_last)
    left_out = count - sum(len(batch) for batch in drawn)
    if count < size:
        assert left_out == 0
    else:
        assert left_out == (count % size if drop_last or count % size == 1 else 0)
