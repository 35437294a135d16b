"""Every shipped method on a vision transformer and on ConvNeXt: it adapts them, or says why not before any work."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from sfda_kit import Recipe
from sfda_kit.inference.adapted_model import load_model
from sfda_kit.plugins.discovery import build_part, registry
from sfda_kit.source.source_models import load_source_model

from ..conftest import TI, TR, last_json
from ..runs.test_shipped_methods import SIDE, write_random

BACKBONES = {"vit": "vit_tiny_patch16_224", "convnext": "convnext_atto"}
OWN_LOOP_WITH_PAIRS = {"pair-map", "coral"}
MOVES_ONLY = {
    **dict.fromkeys(("t3a", "majority", "probe"), "classifier"),
    **dict.fromkeys(("pair-map", "coral", "standardise"), "bottleneck"),
}
NEEDS_BATCH_NORM = {
    "adabn": r"replaces the BatchNorm statistics of the backbone, and this backbone has none.*resnet50.*method tent",
    "socket": r"bn-stats compares BatchNorm statistics.*no BatchNorm2d layer.*resnet50.*--aligner bn-stats=0",
    "socket-official": r"bn-stats compares BatchNorm statistics.*no BatchNorm2d layer.*resnet50.*--aligner bn-stats=0",
}
NEEDS_WEIGHTS = "imagenet-head"
TI_TERMS = ("ti-features", "ti-predictions", "ti-mmd", "ti-coral", "ti-adversarial")
METHODS = [part.name for part in registry().of_kind("method") if part.owner.startswith("sfda-kit")]
METHOD_PACKAGES = [f"sfda-kit-{name}" for name in ("bridged", "neighbors", "plue", "shot", "socket", "tgkt", "tta")]
PAGE = Path(__file__).parents[2] / "docs" / "methods.md"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Decoded images, and a random source network of each backbone, made once."""
    folder = tmp_path_factory.mktemp("backbones")
    for name in BACKBONES.values():
        write_random(folder / name, name, bottleneck=16)
    return folder


@pytest.fixture
def adapt(sfda_kit, shared: Path, pairs_root: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Run a method on the source network of a backbone for one epoch; its run folder."""
    monkeypatch.setenv("SFDA_KIT_CACHE", str(shared / "cache"))

    def run(method: str, backbone: str, *more: str) -> Path:
        data = ["--dataset", "paired-folder", "--data-root", str(pairs_root), "--source", "rgb@cam"]
        classes = ["--target", "depth@cam", "--tr-classes", ",".join(TR), "--ti-classes", ",".join(TI)]
        loop = ["--epochs", "1", "--bridge-epochs", "1", "--source-epochs", "1", "--batch-size", "16"]
        card = ["--source-card", str(shared / BACKBONES[backbone])]
        result = sfda_kit("run", "--method", method, *data, *classes, *loop, *card, "--json", *more)
        if result.exit_code:
            raise result.exception
        return Path(last_json(result)["run_dir"])

    return run


def changed(run_dir: Path, card: Path) -> set[str]:
    """Names of the network's values that are not the source's any more."""
    model, _ = load_model(run_dir)
    assert model(torch.randn(1, 3, SIDE, SIDE)).logits.isfinite().all()
    source = load_source_model(card)[0].state_dict()
    return {name for name, value in model.network.state_dict().items() if not torch.equal(value, source[name])}


@pytest.mark.slow
@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize("method", [name for name in METHODS if name not in (*NEEDS_BATCH_NORM, NEEDS_WEIGHTS)])
def test_adapts(adapt, shared: Path, method: str, backbone: str) -> None:
    run_dir = adapt(method, backbone)
    history = json.loads((run_dir / "history.json").read_text())
    assert all(0 <= row["metrics"]["heldout_accuracy"] <= 100 for row in history)
    moved = changed(run_dir, shared / BACKBONES[backbone])
    leaves_network = method in ("source-only", "tgmb", "tgmb-paper", "rgb-ceiling")
    assert bool(moved) != leaves_network
    if method in MOVES_ONLY:
        assert {name.partition(".")[0] for name in moved} == {MOVES_ONLY[method]}
    elif not leaves_network:
        assert any(name.startswith("backbone") for name in moved), "the backbone has not adapted"


@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize("method", NEEDS_BATCH_NORM)
@pytest.mark.needs_plugin(of="method")
def test_says_why_not_before_any_work(adapt, method: str, backbone: str) -> None:
    with pytest.raises(Exception, match=NEEDS_BATCH_NORM[method]):
        adapt(method, backbone)
    assert not Path("runs").exists()


@pytest.mark.slow
@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.needs_plugin("sfda-kit-socket")
def test_socket_adapts_without_the_term_that_it_is_told_to_leave_out(adapt, shared: Path, backbone: str) -> None:
    moved = changed(adapt("socket", backbone, "--aligner", "bn-stats=0"), shared / BACKBONES[backbone])
    assert any(name.startswith("backbone") for name in moved)


@pytest.mark.slow
@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.needs_plugin("sfda-kit-tta")
def test_tent_moves_scale_and_shift_of_layer_norms_instead(adapt, shared: Path, backbone: str) -> None:
    """The counterpart that AdaBN's message names."""
    network = load_source_model(shared / BACKBONES[backbone])[0]
    norms = {name for name, module in network.backbone.named_modules() if isinstance(module, torch.nn.LayerNorm)}
    moved = {name for name in changed(adapt("tent", backbone), shared / BACKBONES[backbone]) if "backbone" in name}
    assert moved and {name.removeprefix("backbone.").rpartition(".")[0] for name in moved} <= norms


@pytest.mark.slow
@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.needs_plugin("sfda-kit-alignment", "sfda-kit-shot")
def test_every_alignment_of_pairs_applies(adapt, backbone: str) -> None:
    terms = [flag for name in TI_TERMS for flag in ("--aligner", f"{name}=0.1")]
    assert json.loads((adapt("shot", backbone, *terms) / "record.json").read_text())["status"] == "ok"


def needs_pairs(name: str, recipe: Recipe) -> bool:
    bridges = [build_part("bridge", part.name, part.options) for part in recipe.bridges().values()]
    terms = {name for phase in recipe.phases for name in phase.aligners}
    return (
        name in OWN_LOOP_WITH_PAIRS
        or any(bridge.trained for bridge in bridges)
        or any(name.startswith("ti-") for name in terms)
    )


@pytest.mark.needs_plugin(*METHOD_PACKAGES)
def test_the_page_of_methods_says_what_each_one_needs() -> None:
    rows = re.findall(
        r"^\| `([\w-]+)` \|.*\| (yes|no|only [\w ]+) \| (any|BatchNorm)\b.*\|$", PAGE.read_text(), re.MULTILINE
    )
    found = {name: (pairs == "yes", backbone == "BatchNorm") for name, pairs, backbone in rows}
    expected = {}
    for name in METHODS:
        part = registry().get("method", name).load()
        recipe = part if isinstance(part, Recipe) else part.recipe
        expected[name] = (needs_pairs(name, recipe), name in NEEDS_BATCH_NORM)
    assert found == expected
