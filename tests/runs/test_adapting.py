"""``sfda_kit.adapt`` on the user's own module and images: the model, the report, predictions and what is refused."""

from __future__ import annotations

import copy
import logging

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

import sfda_kit
from sfda_kit.config.keywords import KEYWORDS
from sfda_kit.errors import UserError
from sfda_kit.plugins.modalities import modality

from ..conftest import TR
from ..folders import write_card, write_folders

pytestmark = [pytest.mark.slow, pytest.mark.needs_plugin("sfda-kit-shot")]
SIDE = 32
NAMES = ("cup", "pen", "box")
PLAIN = {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}
SHORT = {"epochs": 1, "batch_size": 8, "device": "cpu", "seed": 3}


class Mine(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, bias=False), nn.BatchNorm2d(8), nn.ReLU())
        self.fc = nn.Linear(8, 3, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        return self.fc(self.stem(images).mean(dim=(2, 3)))


def depth(count: int = 16) -> torch.Tensor:
    return torch.randint(500, 4000, (count, SIDE, SIDE), generator=torch.Generator().manual_seed(0), dtype=torch.int32)


def module() -> Mine:
    torch.manual_seed(0)
    return Mine()


def test_a_module_is_adapted_and_stays_as_it_was(tmp_path, caplog):
    own, images = module(), depth()
    before = copy.deepcopy(own.state_dict())
    with caplog.at_level(logging.INFO, "sfda_kit"):
        adapted = sfda_kit.adapt(own, images, classes=NAMES, runs_dir=tmp_path, **PLAIN, **SHORT)
    assert "no method was named: shot" in caplog.text and adapted.record.method == "shot"
    assert all(torch.equal(before[name], tensor) for name, tensor in own.state_dict().items())
    assert isinstance(adapted.model, Mine) and not torch.equal(adapted.model.stem[0].weight, own.stem[0].weight)

    found = adapted.predict(images)
    assert list(found.columns) == ["name", "class", "probability"] and len(found) == len(images)
    encoding, kind = sfda_kit.build_part("encoding", adapted.card.encoding.name), modality("depth")
    view = sfda_kit.TargetView(images.numpy().astype(np.uint16), kind, encoding, SIDE)
    with torch.no_grad():
        probabilities = adapted.model(view.batch(torch.arange(len(images)))).softmax(dim=1)
    assert [NAMES[code] for code in probabilities.argmax(dim=1)] == list(found["class"])
    np.testing.assert_allclose(probabilities.amax(dim=1), found["probability"], rtol=1e-4)

    stored = pd.read_parquet(adapted.folder / "predictions.parquet")  # sorted by name, which is the order given
    assert list(stored["prediction"]) == list(found["class"])
    assert list(adapted.report.columns) == ["source-only", "adapted"]
    assert adapted.report.loc["predicted as cup":"predicted as box", "adapted"].sum() == len(images)


def test_the_same_call_is_the_same_run_and_another_module_is_another(tmp_path):
    own = module()
    first = sfda_kit.adapt(own, depth(), method="shot", runs_dir=tmp_path, **PLAIN, **SHORT)
    again = sfda_kit.adapt(own, depth(), method="shot", runs_dir=tmp_path, resume=True, **PLAIN, **SHORT)
    assert again.folder == first.folder
    own.fc.weight.data.mul_(2)
    other = sfda_kit.adapt(own, depth(), method="shot", runs_dir=tmp_path, resume=True, **PLAIN, **SHORT)
    assert other.folder != first.folder


@pytest.mark.needs_plugin("sfda-kit-bridged")
def test_pairs_and_a_bridge_that_compares_maps(tmp_path):
    rgb = torch.rand(8, 3, SIDE, SIDE)
    arguments = {"ti_pairs": (rgb, depth(8)), "runs_dir": tmp_path, "bridge_epochs": 1, **PLAIN, **SHORT}
    with pytest.raises(UserError, match="feature_maps='layer1'"):
        sfda_kit.adapt(module(), depth(), **arguments)
    adapted = sfda_kit.adapt(module(), depth(), feature_maps="stem", **arguments)
    assert adapted.record.method == "bridged" and "bridge" in adapted.report.columns
    assert adapted.model(torch.rand(2, 3, SIDE, SIDE)).shape == (2, 3)


def test_a_card_is_adapted_to_a_folder_and_saved(tmp_path):
    write_card(tmp_path / "card")
    write_folders(tmp_path, images=3)
    adapted = sfda_kit.adapt(tmp_path / "card", tmp_path / "target", method="shot", runs_dir=tmp_path / "runs", **SHORT)
    found = adapted.predict(tmp_path / "target")
    assert set(found["class"]) <= set(TR) and found["name"][0].endswith(".png")
    assert adapted.model(torch.rand(2, 3, SIDE, SIDE)).shape == (2, len(TR))
    saved = adapted.save(tmp_path / "saved")
    assert sfda_kit.load_model(str(saved))[1].source.classes == TR
    assert sfda_kit.load_card(str(tmp_path / "card")).classes == TR
    (first,) = sfda_kit.predict(str(saved), [str(next((tmp_path / "target").rglob("*.png")))])
    assert first.label in TR
    with pytest.raises(UserError, match="not an empty folder"):
        adapted.save(tmp_path / "saved")


def test_progress_and_events_and_nothing_else_is_printed(tmp_path, capfd):
    events: list[sfda_kit.Event] = []
    arguments = {"method": "shot", "runs_dir": tmp_path, **PLAIN, **SHORT}
    sfda_kit.adapt(module(), depth(), listener=events.append, **arguments)
    out, err = capfd.readouterr()
    assert out == err == "" and {"stage", "step", "epoch", "done"} <= {event.kind for event in events}
    sfda_kit.adapt(module(), depth(), progress=True, **arguments)
    out, err = capfd.readouterr()
    assert out == "" and "adapt" in err and "10/10" in err


REFUSED = [
    ({"mean": None}, "With which normalisation"),
    ({"classes": ("a", "b")}, "has 3 outputs, and `classes` names 2"),
    ({"classes": "cup"}, "the text 'cup'; expected a list of names"),
    ({"unit": "km"}, "'km' is no unit of depth images; expected one of mm, m"),
    ({"epoch": 3}, r"no setting 'epoch'.*epochs"),
    ({"method": "shott"}, r"shott.*shot"),
    ({"adapt": {"rl": 1}}, r"adapt\.rl"),
    ({"classifier": "head"}, r"no layer 'head'"),
    ({"modality": "dept"}, "dept.*depth"),
    ({"target": "nowhere"}, r"side of the module's input"),
    ({"target": "nowhere", "image_size": 32}, "nowhere"),
]


@pytest.mark.parametrize(("change", "reason"), REFUSED, ids=lambda value: str(value)[:30])
def test_mistakes_are_told_before_anything_is_written(change, reason, tmp_path):
    arguments = {"target": depth(), "runs_dir": tmp_path / "runs", **PLAIN, **SHORT} | change
    with pytest.raises(UserError, match=reason):
        sfda_kit.adapt(module(), **arguments)
    assert not (tmp_path / "runs").exists()


def test_a_card_describes_itself(tmp_path):
    write_card(tmp_path / "card")
    with pytest.raises(UserError, match="mean= describes a torch module"):
        sfda_kit.adapt(tmp_path / "card", depth(), runs_dir=tmp_path, mean=(0, 0, 0))


def test_the_older_call_still_works(tmp_path):
    write_card(tmp_path / "card")
    write_folders(tmp_path, images=3)
    config = sfda_kit.load_config({"method": "shot", "source": {"card": tmp_path / "card"}, "adapt": {"epochs": 1}})
    with pytest.deprecated_call(match="adapt_folders"):
        record = sfda_kit.adapt(config, sfda_kit.ImageFolders(tmp_path / "target", None, "depth"), tmp_path / "runs")
    assert record.status == "ok"


def test_keywords_are_the_options_of_the_command_line():
    from sfda_kit.cli.options import SETTINGS

    for name, key in KEYWORDS.items():
        assert SETTINGS[name].path == key
