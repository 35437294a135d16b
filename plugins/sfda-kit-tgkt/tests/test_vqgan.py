"""Bridge ``vqgan``: its terms, its parameters, and that it learns and tells how it uses its codes."""

from __future__ import annotations

import math
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from sfda_kit_tgkt.vqgan import VqGan
from torch import nn

from sfda_kit import BridgeConfig, BridgeStageConfig, Event, UserError
from sfda_kit.adaptation.bridge_stage import BridgeTraining
from sfda_kit.testing.networks import small_source_network
from sfda_kit.testing.signals import small_bridge_signals, small_pairs, small_target

OPTIONS = {"width": 8, "levels": 2, "codes": 12, "code_size": 4}


def bridge(**more: float) -> VqGan:
    torch.manual_seed(0)
    return VqGan(**(OPTIONS | more))  # type: ignore[arg-type]


@pytest.mark.parametrize(("height", "width"), [(16, 16), (19, 11), (64, 64)])
def test_takes_any_size(height: int, width: int) -> None:
    images = torch.randn(1, 3, height, width)
    assert VqGan()(images).shape == images.shape


def test_an_image_is_put_together_from_codes() -> None:
    """Whatever two images are, where their codes agree they are bridged alike."""
    made = bridge()
    made.codebook.codes.data[:] = made.codebook.codes.data[:1]
    first, second = made(torch.randn(2, 3, 16, 16))
    torch.testing.assert_close(first, second)


def test_is_small() -> None:
    assert sum(p.numel() for p in VqGan().parameters()) < 150_000


def test_quantisation_is_that_of_both_kinds_of_target_images() -> None:
    made = bridge().eval()
    signals = small_bridge_signals(made)
    encoded = [made.encoder(images) for images in (signals.ti_target_images, signals.target_images)]
    expected = sum(made.codebook.loss(part, 0.25) for part in encoded) / 2
    torch.testing.assert_close(made.quantisation(signals), expected)
    assert made.codebook.usage.sum() == 0, "in evaluation mode nothing is counted"
    weighed = bridge(commitment=1.0).eval()
    torch.testing.assert_close(weighed.quantisation(signals), 2 / 1.25 * expected)


def test_same_step_revives_the_same_codes_whatever_else_was_drawn() -> None:
    first, second = bridge(), bridge()
    first.quantisation(small_bridge_signals(first))
    torch.rand(5)
    second.quantisation(small_bridge_signals(second))
    assert torch.equal(first.codebook.codes, second.codebook.codes)
    assert not torch.equal(first.codebook.codes, bridge().codebook.codes)


def test_patch_separates_the_source_half_from_the_bridged_half() -> None:
    made = bridge()
    objective = made.objective(small_source_network())
    signals = small_bridge_signals(made)
    wanted = 0.0
    for images, sign in ((signals.ti_source_images, 1), (signals.bridged_ti_images, -1)):
        logits = objective.patch_discriminator(images).flatten().tolist()
        wanted += sum(math.log(1 + math.exp(-sign * x)) for x in logits) / len(logits) / 2
    assert objective.patch(signals).item() == pytest.approx(wanted, rel=1e-5)


def test_objective_holds_its_discriminators_and_not_the_bridge() -> None:
    made = bridge()
    own = {id(p) for p in made.objective(small_source_network()).parameters()}
    assert own and not own & {id(p) for p in made.parameters()}
    assert set(made.default_objective) == set(made.objective(small_source_network()).terms())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"codes": 0}, "vqgan: codes is 0, expected 1 or more"),
        ({"levels": 0}, "vqgan: levels is 0"),
        ({"commitment": -1}, "vqgan: commitment is -1, expected 0 or more"),
    ],
)
def test_bad_options_are_told(options: dict[str, float], message: str) -> None:
    with pytest.raises(UserError, match=message):
        bridge(**options)


def trained(folder: Path, monkeypatch: pytest.MonkeyPatch, epochs: int, stop: int | None = None) -> list[Event]:
    """Train it in the stage as a run does, stopped when epoch ``stop`` + 1 begins; events of its epochs."""
    monkeypatch.setenv("SFDA_KIT_CACHE", str(folder))
    events: list[Event] = []

    def listen(event: Event) -> None:
        if event.kind == "step" and event.data["epoch"] == stop:
            raise KeyboardInterrupt
        if event.kind == "epoch":
            events.append(event)

    source, config = small_source_network(), BridgeStageConfig(batch_size=4)
    given = (small_target(), small_pairs(), source, config, epochs, "crop-flip", 0, {"source": "small"})
    training = BridgeTraining(*given, listen, nullcontext)
    training.prepare(BridgeConfig(name="vqgan", options=OPTIONS))
    return events


def weights(folder: Path) -> bytes:
    (file,) = folder.glob("stages/bridge/*/*.safetensors")
    return file.read_bytes()


@pytest.mark.slow
def test_stage_tells_the_use_of_codes_and_resumes_bit_for_bit(tmp_path: Path, monkeypatch) -> None:
    events = trained(tmp_path / "whole", monkeypatch, epochs=3)
    assert [set(event.data["figures"]) for event in events] == [{"codes_used", "code_perplexity"}] * 3
    assert all(0 < value <= 100.01 for event in events for value in event.data["figures"].values())
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path / "stopped", monkeypatch, epochs=3, stop=2)
    rest = trained(tmp_path / "stopped", monkeypatch, epochs=3)
    assert [event.data for event in rest] == [events[-1].data]
    assert weights(tmp_path / "stopped") == weights(tmp_path / "whole")


@pytest.mark.slow
def test_training_lowers_the_error_and_uses_codes() -> None:
    made = bridge()
    objective = made.objective(small_source_network())
    optimizer = torch.optim.AdamW([*made.parameters(), *objective.parameters()], lr=1e-2)
    errors = []
    for _ in range(25):
        signals = small_bridge_signals(made)
        optimizer.zero_grad()
        terms = objective.terms()
        error = terms["reconstruction"](signals)
        (error + terms["quantisation"](signals) + 0.1 * terms["patch"](signals)).backward()
        nn.utils.clip_grad_norm_(made.parameters(), 10.0)
        optimizer.step()
        errors.append(error.item())
    assert errors[-1] < 0.9 * errors[0]  # the images are noise, most of which no code can hold
    assert made.figures()["codes_used"] > 20
