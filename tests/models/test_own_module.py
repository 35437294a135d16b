"""Any torch module becomes a network: its last linear layer is found, and what comes before it is the backbone."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from sfda_kit.config.models import ModelConfig
from sfda_kit.errors import UserError
from sfda_kit.models import module_factories
from sfda_kit.models.module_factories import is_reference, make_module, trust
from sfda_kit.models.network import build_network
from sfda_kit.models.own_module import find_classifier
from sfda_kit.models.shallow import shallow_features, shallow_width

SIDE = 16


class Small(nn.Module):
    """A module as a user writes it; the classifier stands first, so that its place does not tell which layer it is."""

    def __init__(self, classes: int = 4, ends_with: nn.Module | None = None) -> None:
        super().__init__()
        self.head = nn.Linear(6, classes)
        self.stem = nn.Sequential(nn.Conv2d(3, 5, 3, stride=2), nn.BatchNorm2d(5), nn.ReLU())
        self.middle = nn.Sequential(nn.Linear(5, 6), nn.ReLU())
        self.end = ends_with or nn.Identity()

    def forward(self, images: Tensor) -> Tensor:
        return self.end(self.head(self.middle(self.stem(images).mean(dim=(2, 3)))))


@pytest.fixture(autouse=True)
def trusted():
    before = dict(module_factories._trusted)
    yield
    module_factories._trusted.clear()
    module_factories._trusted.update(before)


def network(classes: int = 4, **settings):
    trust("own:small", Small)
    return build_network(ModelConfig(backbone="own:small", bottleneck=0, image_size=SIDE, **settings), classes)


def test_names_of_timm_are_no_references():
    assert is_reference("my_networks.small:build") and is_reference("own:small")
    assert not any(map(is_reference, ("resnet10t", "resnet50.tv_in1k", "hf-hub:timm/x", "a:b:c", "a/b:build", ":x")))


def test_the_classifier_is_the_layer_that_gives_the_output():
    assert find_classifier(Small(), SIDE) == "head"
    with pytest.raises(UserError, match=r"not that of a linear layer.*head, middle\.0"):
        find_classifier(Small(ends_with=nn.Softmax(dim=1)), SIDE)
    with pytest.raises(UserError, match=r"does not take images \(2, 3, 1, 1\)"):
        find_classifier(Small(), 1)


def test_finding_leaves_the_module_as_it_was():
    module = Small().train()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    find_classifier(module, SIDE)
    assert module.training and all(torch.equal(before[name], now) for name, now in module.state_dict().items())


def test_features_are_what_the_classifier_reads():
    found = network()
    assert (found.feature_width, found.class_count) == (6, 4)
    images = torch.randn(3, 3, SIDE, SIDE)
    output = found.eval()(images)
    assert output.features.shape == (3, 6)
    torch.testing.assert_close(output.logits, found.classifier(output.features))


def test_a_network_to_train_has_as_many_classes_as_its_task_and_a_bottleneck_where_asked():
    trust("own:small", Small)
    found = build_network(ModelConfig(backbone="own:small", bottleneck=7, image_size=SIDE), 9)
    assert (found.feature_width, found.class_count) == (7, 9)


def test_a_layer_of_feature_maps_is_named_by_the_user():
    with pytest.raises(UserError, match="feature_maps='layer1'"):
        shallow_width(network())
    found = network(feature_maps="stem")
    maps, output = shallow_features(found.eval(), torch.randn(2, 3, SIDE, SIDE))
    assert maps.shape == (2, shallow_width(found), 7, 7) and output.logits.shape == (2, 4)
    with pytest.raises(UserError, match=r"'middle', which returns \(2, 6\)"):
        network(feature_maps="middle")
    with pytest.raises(UserError, match=r"no layer 'sten'.*stem"):
        network(feature_maps="sten")


def test_a_classifier_that_is_not_linear_is_refused():
    with pytest.raises(UserError, match="'stem' of own:small is a Sequential"):
        network(classifier="stem")


def test_outputs_with_logits_are_understood():
    class Wrapped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = Small()

        def forward(self, images: Tensor):
            return type("Output", (), {"logits": self.inner(images)})()

    assert find_classifier(Wrapped(), SIDE) == "inner.head"


def test_only_what_the_user_names_is_imported(tmp_path, monkeypatch):
    (tmp_path / "my_networks.py").write_text(
        "from torch import nn\n"
        "def build(num_classes=2): return nn.Linear(3, num_classes)\n"
        "def broken(): raise ValueError('no weights')\n"
        "number = 3\n"
        "def text(): return 'x'\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UserError, match=r"not run on the word of a file.*--model my_networks:build"):
        make_module("my_networks:build", 5)
    trust("my_networks:build")
    assert make_module("my_networks:build", 5).out_features == 5
    for name, reason in {
        "broken": "raised ValueError: no weights",
        "bild": "no function 'bild'.*build",
        "number": "no function 'number'",
        "text": "returned str; expected a torch.nn.Module",
    }.items():
        trust(f"my_networks:{name}")
        with pytest.raises(UserError, match=reason):
            make_module(f"my_networks:{name}", 2)
    trust("no_such_module:build")
    with pytest.raises(UserError, match="cannot be imported"):
        make_module("no_such_module:build", 2)
    with pytest.raises(UserError, match=r"load_model\(run, module="):
        make_module("memory:Small_0", 2)
