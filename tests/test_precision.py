"""Under bfloat16 the layers compute in 16 bits, the answers and the losses do not."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from sfda_kit import Aligner
from sfda_kit.adaptation.feature_bank import fill_bank
from sfda_kit.config.loading import load_config
from sfda_kit.config.models import ComputeConfig
from sfda_kit.device import autocast, choose_device, fastest_precision
from sfda_kit.events import silent
from sfda_kit.plugins.discovery import build_part, registry
from sfda_kit.runs.plan import resolve_method
from sfda_kit.testing.conformance_aligner import with_own_module
from sfda_kit.testing.networks import small_network
from sfda_kit.testing.signals import small_step_signals
from sfda_kit.training.checkpoint import Checkpoint, load_state
from sfda_kit.training.loop import TrainingStage, train_stage
from sfda_kit.training.optimizers import sgd

from .conftest import last_json

NAMES = [part.name for part in registry().of_kind("aligner")]
OPTIONS = {"guided-labels": {"temperature": 1.0}}
"""Its default of 0.07 multiplies what the layers round by 14."""


@pytest.mark.parametrize("name", NAMES)
def test_losses_under_autocast_are_close_to_those_in_single_precision(name: str):
    aligner = fresh(name)
    exact = aligner(small_step_signals(reads=aligner.reads))
    aligner = fresh(name)  # one that remembers steps would be one step further
    with torch.autocast("cpu", dtype=torch.bfloat16):
        signals = small_step_signals(reads=aligner.reads)
        loss = aligner(signals)
        answers = (signals.target_logits, signals.target_features, signals.teacher_logits, signals.ti_target_features)
    assert loss.dtype is torch.float32 and {answer.dtype for answer in answers} == {torch.float32}
    torch.testing.assert_close(loss, exact, rtol=0.02, atol=0.01)


def fresh(name: str) -> Aligner:
    aligner: Aligner = build_part("aligner", name, OPTIONS.get(name))
    with_own_module(aligner, small_network())
    return aligner


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_a_run_in_16_bits_resumes_exactly(precision: str, tmp_path):
    network = small_network()
    x = torch.randn(8, 3, 24, 24, generator=torch.Generator().manual_seed(0))

    def trained(stop_after: int | None = None) -> dict[str, torch.Tensor]:
        torch.manual_seed(0)
        module = copy.deepcopy(network).train()
        config = ComputeConfig(device="cpu", precision=precision)
        stage = TrainingStage(
            name="adapt",
            epochs=3,
            steps=2,
            modules={"network": module},
            optimizer=sgd([{"params": list(module.parameters()), "lr": 0.01}], 0.9, 0.0),
            signals=lambda epoch, generator: [x, x.flip(3)],
            terms={"square": (1.0, lambda images: module(images).logits.square().mean())},
            lr_factor=lambda _: 1.0,
            seed=0,
            autocast=autocast(config, torch.device("cpu")),
        )
        for done in train_stage(stage, Checkpoint(tmp_path / f"{precision}.pt"), silent):
            if done == stop_after:
                break
        return module.state_dict()

    whole = trained()
    (tmp_path / f"{precision}.pt").unlink()
    trained(stop_after=2)
    resumed = trained()
    assert all(torch.equal(whole[name], tensor) for name, tensor in resumed.items())
    state = load_state(tmp_path / f"{precision}.pt")
    assert ("scaler" in state) == (precision == "fp16")


def test_auto_means_bf16_only_where_it_is_fast(monkeypatch):
    plain, grouped = nn.Conv2d(4, 4, 3), nn.Conv2d(4, 4, 3, groups=4)
    cpu = torch.device("cpu")
    for has_bf16 in (False, True):
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda has=has_bf16: has)
        monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
        assert fastest_precision(cpu, plain) == ("bf16" if has_bf16 else "fp32")
        assert fastest_precision(cpu, nn.Sequential(plain, grouped)) == "fp32"
    assert fastest_precision(torch.device("meta"), plain) == "fp32"


def test_auto_is_resolved_before_a_run_has_an_identity():
    plan = resolve_method(load_config({"method": "source-only", "compute": {"precision": "auto", "device": "cpu"}}))
    assert plan.identity()["config"]["compute"]["precision"] in ("bf16", "fp32")


def test_a_bank_of_a_16_bit_run_is_float32_and_close():
    model, images = small_network(), torch.randn(40, 3, 24, 24)

    class View:
        def __len__(self) -> int:
            return len(images)

        def batch(self, rows: torch.Tensor) -> torch.Tensor:
            return images[rows]

    exact = fill_bank(model, View())
    half = fill_bank(model, View(), autocast=autocast(ComputeConfig(precision="bf16"), torch.device("cpu")))
    assert half.logits.dtype is torch.float32
    assert not torch.equal(half.logits, exact.logits)
    torch.testing.assert_close(half.logits, exact.logits, rtol=0.05, atol=0.05)


def test_deterministic_asks_torch_and_nothing_else_does():
    before = torch.are_deterministic_algorithms_enabled()
    try:
        choose_device(ComputeConfig(device="cpu"))
        assert torch.are_deterministic_algorithms_enabled() == before
        choose_device(ComputeConfig(device="cpu", deterministic=True))
        assert torch.are_deterministic_algorithms_enabled()
    finally:
        torch.use_deterministic_algorithms(before)


@pytest.mark.slow
@pytest.mark.needs_plugin("sfda-kit-socket", "sfda-kit-tgkt")
@pytest.mark.parametrize("method", ["socket", "tgkt"])
def test_a_deterministic_run_ends_on_a_cpu_with_the_usual_numbers(method: str, sfda_kit, on_pairs, tmp_path):
    short = ("--backbone", "test_resnet", "--image-size", "32", "--source-epochs", "1", "--epochs", "1", "--json")
    call = ("run", "--method", method, *on_pairs, *short, "--source-floor", "0", "--runs-dir", tmp_path)
    try:
        found = [last_json(sfda_kit(*call, *more))["metrics"] for more in ((), ("--deterministic",))]
    finally:
        torch.use_deterministic_algorithms(False)
    assert found[0] == found[1]
