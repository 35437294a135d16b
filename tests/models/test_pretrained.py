"""Pretrained weights out of reach are told of before images are read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sfda_kit.errors import UserError
from sfda_kit.models import hub, pretrained

pytestmark = pytest.mark.slow


class Session:
    """The client of the hub, without a network or with one."""

    def __init__(self, answers: bool) -> None:
        self.answers = answers

    def head(self, url: str, timeout: float) -> None:
        assert url.startswith("http") and timeout <= 5
        if not self.answers:
            raise OSError("Name or service not known")


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "get_session", lambda: Session(answers=False))
    monkeypatch.setattr(hub, "try_to_load_from_cache", lambda repository, file, revision: None)


def test_a_run_stops_before_it_reads_images(offline: None, sfda_kit, on_pairs, private_home: Path):
    flags = [*on_pairs, "--backbone", "resnet18", "--pretrained"]
    result = sfda_kit("run", "--method", "source-only", *flags)
    assert result.exit_code == 2 and list((private_home / "runs").iterdir()) == []
    said = str(result.exception)
    assert "weights of 'resnet18' are not on this disk" in said and "(Name or service not known)" in said
    ways_out = ("--backbone-weights NAME", "--source-card DIR", "source import FILE --backbone resnet18", "HF_HOME")
    for way_out in (*ways_out, "without --pretrained"):
        assert way_out in said
    assert not (private_home / "cache" / "decoded").exists()


@pytest.mark.parametrize("changed", ["get_session", "try_to_load_from_cache"])
def test_weights_that_can_be_had_are_no_mistake(offline: None, changed: str, monkeypatch):
    values: dict[str, Any] = {
        "get_session": lambda: Session(answers=True),
        "try_to_load_from_cache": lambda repository, file, revision: "model.safetensors",
    }
    with pytest.raises(UserError):
        pretrained.refuse_missing_weights("resnet18")
    monkeypatch.setattr(hub, changed, values[changed])
    pretrained.refuse_missing_weights("resnet18")


def test_a_backbone_without_weights_is_not_asked_for(offline: None):
    pretrained.refuse_missing_weights("test_vit4")
