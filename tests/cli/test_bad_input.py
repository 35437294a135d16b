"""Each mistake of a user ends in one message that says what to do, exit code 2, and no traceback."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sfda_kit.source.source_card import load_card

from ..conftest import TI, TR, last_json
from ..folders import rewrite_card, write_card

pytestmark = pytest.mark.slow


@pytest.fixture
def own_pairs(pairs_root: Path, tmp_path: Path) -> Path:
    """A copy of the small data set to break."""
    return Path(shutil.copytree(pairs_root, tmp_path / "own"))


def flags_for(root: Path, **changed: str) -> list[str]:
    flags = {
        "--dataset": "paired-folder",
        "--data-root": str(root),
        "--source": "rgb@cam",
        "--target": "depth@cam",
        "--tr-classes": ",".join(TR),
        "--ti-classes": ",".join(TI),
        "--backbone": "test_resnet",
        "--image-size": "32",
        "--source-epochs": "1",
        "--epochs": "1",
    } | {f"--{name.replace('_', '-')}": value for name, value in changed.items()}
    return [item for pair in flags.items() for item in pair]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"method": "tgtk"}, "Did you mean 'tgkt'"),
        ({"bridge": "unett"}, "Did you mean 'unet'"),
        ({"labeler": "centroids"}, "Did you mean 'centroid'"),
        ({"aligner": "bn-stat=1"}, "Did you mean 'bn-stats'"),
        ({"aligner": "bn-stats=much"}, "expected NAME=WEIGHT"),
        ({"dataset": "sunrgbd"}, "Did you mean 'sun-rgbd'"),
        ({"encoding": "jett"}, "Did you mean 'jet'"),
        ({"backbone": "test_resnett"}, "Did you mean 'test_resnet"),
        ({"image_size": "16"}, "too small"),
        ({"source": "rgb@kv9"}, "no domain 'kv9'"),
        ({"target": "deep@cam"}, "Did you mean 'depth'"),
        ({"tr_classes": "bar,disk"}, "Did you mean 'disc'"),
        ({"ti_classes": "bar,corner"}, "both TR and TI"),
        ({"epochs": "0"}, "greater than or equal to 1"),
        ({"device": "cudaa"}, "not available"),
        ({"set": "adapt.lrr=1"}, "adapt.lrr: there is no such key. Did you mean 'lr'"),
        ({"set": "modl.image_size=32"}, "Did you mean 'model'"),
        ({"set": "adapt.lr"}, "expected KEY=VALUE"),
        ({"config": "missing.yaml"}, "Cannot read the configuration"),
        ({"source_card": "nowhere"}, "There is no source card at nowhere"),
        ({"data_root": "nowhere"}, "nowhere"),
    ],
    ids=lambda value: next(iter(value.items()))[1] if isinstance(value, dict) else "",
)
@pytest.mark.needs_plugin("sfda-kit-shot", "sfda-kit-socket", "sfda-kit-tgkt")
def test_the_message_says_what_to_do(sfda_kit, pairs_root, changed, message):
    method = changed.pop("method", "shot")
    result = sfda_kit("run", "--method", method, *flags_for(pairs_root, **changed))
    assert result.exit_code == 2
    assert message in str(result.exception)


@pytest.mark.needs_plugin("sfda-kit-shot", "sfda-kit-socket")
def test_bn_stats_needs_batch_norm(sfda_kit, pairs_root):
    arguments = flags_for(pairs_root, backbone="test_vit", image_size="64", aligner="bn-stats=1")
    result = sfda_kit("run", "--method", "shot", *arguments)
    assert result.exit_code == 2
    assert "BatchNorm2d" in str(result.exception) and "--aligner bn-stats=0" in str(result.exception)


def test_a_method_without_training_takes_no_aligner(sfda_kit, pairs_root):
    result = sfda_kit("run", "--method", "source-only", *flags_for(pairs_root, aligner="infomax=1"))
    assert result.exit_code == 2 and "takes no aligner" in str(result.exception)


@pytest.mark.needs_plugin("sfda-kit-shot")
def test_removing_every_term_is_refused(sfda_kit, pairs_root):
    result = sfda_kit("run", "--method", "shot-im", *flags_for(pairs_root, aligner="infomax=0"))
    assert result.exit_code == 2 and "no loss term left" in str(result.exception)


NOTHING_LEFT = "{reconstruction: 0, features: 0, adversarial: 0, infomax: 0}"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (("model.bottleneck=0", "recipe.train=bottleneck"), "has no such weights"),
        (("model.backbone=test_vit", "model.bottleneck=0", "recipe.train=batch-norm"), "has no such weights"),
        ((f"recipe.bridge.objective={NOTHING_LEFT}",), "no objective left"),
    ],
)
@pytest.mark.needs_plugin("sfda-kit-tgkt")
def test_a_recipe_that_trains_nothing_is_refused(sfda_kit, pairs_root, settings, message):
    flags = [text for setting in settings for text in ("--set", setting)]
    given = flags_for(pairs_root)
    given = given[: given.index("--backbone")] + given[given.index("--image-size") :]
    result = sfda_kit("run", "--method", "tgkt", *given, "--set", "model.backbone=test_resnet", *flags)
    assert result.exit_code == 2 and message in str(result.exception)


@pytest.mark.needs_plugin("sfda-kit-tgkt")
def test_a_card_of_another_modality_is_refused(sfda_kit, pairs_root, tmp_path):
    write_card(tmp_path)
    rewrite_card(tmp_path, modality="nir")
    result = sfda_kit("run", "--method", "tgkt", *flags_for(pairs_root, source_card=str(tmp_path)))
    assert result.exit_code == 2 and "was trained on nir; the source of this task is rgb" in str(result.exception)


@pytest.mark.needs_plugin("sfda-kit-shot")
def test_half_a_pair_is_named(sfda_kit, own_pairs):
    missing = own_pairs / "cam" / "depth" / "corner" / "corner03.png"
    missing.unlink()
    result = sfda_kit("run", "--method", "shot", *flags_for(own_pairs))
    assert result.exit_code == 2 and "corner03" in str(result.exception)
    assert "--skip-bad" in str(result.exception)


def damage(image: Path, how: str) -> None:
    if how == "truncated":
        image.write_bytes(image.read_bytes()[:60])
    elif how == "empty":
        image.write_bytes(b"")
    else:
        Image.fromarray(np.zeros((40, 40, 3), np.uint8)).save(image)


@pytest.mark.parametrize("how", ["truncated", "empty", "colour picture as depth"])
def test_a_bad_image_stops_the_run_or_is_left_out_and_recorded(sfda_kit, own_pairs, how):
    for number in range(8):  # one of each group, so that some of them are target images in any split
        damage(own_pairs / "cam" / "depth" / "bar" / f"bar{number:02d}.png", how)
    result = sfda_kit("run", "--method", "source-only", *flags_for(own_pairs), "--source-floor", "0")
    assert result.exit_code == 2 and "bar0" in str(result.exception) and "--skip-bad" in str(result.exception)
    skipped = sfda_kit(
        "run", "--method", "source-only", *flags_for(own_pairs), "--source-floor", "0", "--skip-bad", "--json"
    )
    assert skipped.exit_code == 0
    record = (Path(last_json(skipped)["run_dir"]) / "record.json").read_text()
    assert all(f"bar{number:02d}.png" in record for number in range(8))


def test_copies_across_parts_stop_the_run_or_are_left_out_and_recorded(sfda_kit, own_pairs):
    depth = own_pairs / "cam" / "depth"
    for number in range(1, 24):  # in every group, so in every part
        shutil.copy(depth / "bar" / "bar00.png", depth / "bar" / f"bar{number:02d}.png")
    flags = [*flags_for(own_pairs, source_floor="0"), "--set", "dataset.minimum_images=0"]
    stopped = sfda_kit("run", "--method", "source-only", *flags)
    assert stopped.exit_code == 2 and "held-out images are not unseen" in str(stopped.exception)
    assert "source:" not in stopped.output
    (depth / "corner" / "corner03.png").unlink()  # half a pair too
    skipped = sfda_kit("run", "--method", "source-only", *flags, "--skip-bad", "--json")
    assert skipped.exit_code == 0, skipped.exception
    record = json.loads((Path(last_json(skipped)["run_dir"]) / "record.json").read_text())
    told = "\n".join(record["notices"])
    assert told.count("is held out and the same as cam/depth/bar/bar") >= 3 and "corner03" in told


def test_a_bad_target_image_stops_the_run_before_anything_is_trained(sfda_kit, own_pairs):
    flags = flags_for(own_pairs, unit="m", source_floor="0")
    result = sfda_kit("run", "--method", "source-only", *flags)
    assert result.exit_code == 2 and "--unit mm" in str(result.exception)
    assert "source:" not in result.output


def test_a_class_without_images_is_left_out_with_a_notice(sfda_kit, own_pairs):
    for modality in ("rgb", "depth"):
        for image in sorted((own_pairs / "cam" / modality / "ring").iterdir())[2:]:
            image.unlink()
    result = sfda_kit("run", "--method", "source-only", *flags_for(own_pairs), "--source-floor", "0", "--json")
    assert result.exit_code == 0
    assert "'ring' left out" in (Path(last_json(result)["run_dir"]) / "record.json").read_text()


@pytest.mark.needs_plugin("sfda-kit-shot")
def test_a_source_model_at_chance_stops_the_run(sfda_kit, pairs_root):
    result = sfda_kit("run", "--method", "shot", *flags_for(pairs_root), "--source-floor", "99", "--json")
    assert result.exit_code == 1
    summary = last_json(result)
    assert summary["status"] == "failed" and "--source-floor" in summary["error"]


@pytest.mark.needs_plugin("sfda-kit-shot")
def test_weights_that_overflow_are_never_saved_as_a_checkpoint(sfda_kit, pairs_root):
    arguments = flags_for(pairs_root, epochs="3", source_floor="0", batch_size="16")
    steps = ["--set", "adapt.lr=1e38", "--set", "adapt.steps_per_epoch=1"]
    result = sfda_kit("run", "--method", "shot", *arguments, *steps, "--json")
    assert result.exit_code == 1 and "outputs are no longer finite" in last_json(result)["error"]
    assert not list(Path("runs").glob("*/checkpoints/adapt.pt"))


@pytest.mark.parametrize("rate", ["source.lr", "bridge_training.lr", "adapt.lr"])
@pytest.mark.needs_plugin("sfda-kit-tgkt")
def test_a_loss_that_is_no_number_names_the_rate_of_its_stage(sfda_kit, pairs_root, rate):
    arguments = flags_for(pairs_root, epochs="3", source_floor="0", batch_size="8", source_epochs="3")
    result = sfda_kit("run", "--method", "tgkt", *arguments, "--set", f"{rate}=1e30")
    assert result.exit_code == 1 and f"--set {rate}=" in str(result.exception)


@pytest.mark.needs_plugin("sfda-kit-shot")
def test_a_pickle_given_as_weights_is_refused(sfda_kit, pairs_root, tmp_path):
    card = last_json(
        sfda_kit("run", "--method", "source-only", *flags_for(pairs_root), "--source-floor", "0", "--json")
    )
    assert card["status"] == "ok"
    folder = Path(next(Path(os.environ["SFDA_KIT_CACHE"]).glob("stages/source/*/card.json"))).parent
    own = shutil.copytree(folder, tmp_path / "card")
    (own / "model.safetensors").write_bytes(pickle.dumps({"weights": [1, 2, 3]}))
    result = sfda_kit("run", "--method", "shot", *flags_for(pairs_root, source_card=str(own)), "--source-floor", "0")
    assert result.exit_code == 2 and "not a safetensors file" in str(result.exception)


@pytest.mark.needs_plugin("sfda-kit-shot")
def test_weights_of_another_architecture_are_refused(sfda_kit, pairs_root, tmp_path):
    sfda_kit("run", "--method", "source-only", *flags_for(pairs_root), "--source-floor", "0")
    folder = next(Path(os.environ["SFDA_KIT_CACHE"]).glob("stages/source/*/card.json")).parent
    own = shutil.copytree(folder, tmp_path / "card")
    rewrite_card(own, model=load_card(own).model.model_copy(update={"bottleneck": 128}))
    result = sfda_kit("run", "--method", "shot", *flags_for(pairs_root, source_card=str(own)), "--source-floor", "0")
    assert result.exit_code == 2 and "another architecture" in str(result.exception)


@pytest.mark.needs_plugin("sfda-kit-shot")
def test_a_runs_folder_that_cannot_be_made(sfda_kit, pairs_root, tmp_path):
    (tmp_path / "file").write_text("in the way")
    result = sfda_kit("run", "--method", "shot", *flags_for(pairs_root), "--runs-dir", tmp_path / "file" / "runs")
    assert result.exit_code == 2 and "--runs-dir" in str(result.exception)


def test_a_full_disk_is_named(sfda_kit, pairs_root, monkeypatch):
    import errno

    from sfda_kit.results import predictions

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(predictions.pq, "write_table", full)
    result = sfda_kit("run", "--method", "source-only", *flags_for(pairs_root), "--source-floor", "0")
    assert result.exit_code == 2
    assert "disk is full" in str(result.exception) and "--resume" in str(result.exception)


@pytest.mark.needs_plugin("sfda-kit-tgkt")
def test_a_user_sees_no_traceback(pairs_root):
    command = [sys.executable, "-m", "sfda_kit", "run", "--method", "tgtk", *flags_for(pairs_root)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "Error:" in done.stderr and "Traceback" not in done.stderr and "tgkt" in done.stderr
