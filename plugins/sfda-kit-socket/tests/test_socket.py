"""The SOCKET recipes, and the slips of the official code that they must be free of."""

from __future__ import annotations

import copy

import torch
from sfda_kit_socket.bn_stats import BnStats
from sfda_kit_socket.socket import SOCKET, SOCKET_OFFICIAL
from torch import nn

from sfda_kit import ImageView, PairView, Recipe
from sfda_kit.testing import RecipeConformance
from sfda_kit.testing.comparisons import assert_same_state
from sfda_kit.testing.networks import SIDE, small_network, small_source_network
from sfda_kit.testing.signals import NORMALISATION, small_pairs, small_step_signals


class TestSocket(RecipeConformance):
    name = "socket"


class TestSocketOfficial(RecipeConformance):
    name = "socket-official"


def weights(recipe: Recipe) -> dict[str, float]:
    (phase,) = recipe.phases
    assert phase.labeler is not None
    return {n: a.weight for n, a in phase.aligners.items()} | {phase.labeler.name: phase.labeler.weight}


def test_weights_are_the_papers() -> None:
    expected = {"infomax": 1.0, "bn-stats": 0.5, "ti-features": 0.5, "centroid": 0.3}
    assert weights(SOCKET) == expected
    assert weights(SOCKET_OFFICIAL) == {
        name.replace("centroid", "one-round-centroid"): w for name, w in expected.items()
    }


def test_official_form_sums_fades_and_labels_augmented_images_once() -> None:
    (phase,) = SOCKET_OFFICIAL.phases
    assert phase.aligners["bn-stats"].options == {"reduction": "sum", "fading": True}
    assert phase.aligners["ti-features"].options == {"reduction": "frobenius"}
    assert phase.labeler is not None
    assert phase.labeler.name == "one-round-centroid"
    assert phase.bank_view == "augmented"


def test_halves_of_a_pair_share_crop_and_flip() -> None:
    """Both halves made of the same pixels stay the same through a step's geometry."""
    signals = small_step_signals(seed=3)
    rgb = small_pairs(seed=3).source
    twin = ImageView(rgb._pixels, rgb.modality, rgb.encoding, SIDE, NORMALISATION)
    signals._images.inputs.pairs.__dict__.update(PairView(rgb, twin).__dict__)
    assert torch.equal(signals.ti_source_images, signals.ti_target_images)
    still = rgb.batch(torch.arange(len(rgb)))
    assert not torch.equal(signals.ti_source_images, still), "the geometry is drawn at random"


def test_halves_keep_their_order() -> None:
    """Row i of both halves shows one scene: depth was made from the red channel."""
    signals = small_step_signals(seed=3)
    red = signals.ti_source_images[:, 0].flatten(1)
    depth = signals.ti_target_images[:, 0].flatten(1)
    correlation = torch.corrcoef(torch.cat([red, depth]))[: len(red), len(red) :]
    assert correlation.argmax(dim=1).tolist() == list(range(len(red)))


def test_ti_pass_never_enters_the_running_statistics() -> None:
    network = small_network()
    before = copy.deepcopy(network.state_dict())
    _ = small_step_signals(network=network).ti_target_features
    assert_same_state(network, before)


def test_ti_pass_uses_its_own_batch_statistics() -> None:
    """In training mode, as the target pass does: the bottleneck's features have mean 0 over the batch."""
    features = small_step_signals().ti_target_features
    torch.testing.assert_close(features.mean(0), torch.zeros(features.shape[1]), atol=1e-5, rtol=0)


def test_target_pass_does_update_the_running_statistics() -> None:
    network = small_network()
    before = copy.deepcopy(network.state_dict())
    _ = small_step_signals(network=network).target_features
    norms = [name for name, m in network.named_modules() if isinstance(m, nn.BatchNorm2d)]
    assert all(not torch.equal(network.state_dict()[f"{n}.running_mean"], before[f"{n}.running_mean"]) for n in norms)


def test_source_statistics_are_never_updated() -> None:
    source = small_source_network()
    before = copy.deepcopy(source.state_dict())
    signals = small_step_signals(source_network=source, reads=BnStats.reads)
    BnStats()(signals).backward()
    _ = signals.ti_source_features, signals.teacher_logits
    assert not source.training
    assert_same_state(source, before)


def test_rgb_half_is_normalised_with_the_sources_statistics() -> None:
    signals = small_step_signals()
    pairs = small_pairs()
    restored = NORMALISATION.undo(signals.ti_source_images)
    values = {round(v * 255) for v in restored[:, 0].flatten().tolist()}
    assert values <= set(pairs.source._pixels[..., 0].flatten().tolist())
