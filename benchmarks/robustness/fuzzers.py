"""Fuzzers: each has valid inputs, and a function that reads one as the product does."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import mutate
import torch
import yaml
from outcomes import Outcomes, judged, timed
from small_run import SETTINGS

from sfda_kit.bench.card import load_reproduction_card, shipped_cards
from sfda_kit.bench.cells import expand
from sfda_kit.bench.suite import load_suite, shipped_suites
from sfda_kit.config.loading import load_config
from sfda_kit.config.yaml import parse_yaml, read_yaml
from sfda_kit.datasets.groups import read_groups
from sfda_kit.datasets.image_lists import read_list
from sfda_kit.datasets.list_table import read_table
from sfda_kit.inference.adapted_card import AdaptedCard
from sfda_kit.leaderboard.build import build_board
from sfda_kit.leaderboard.render.markdown import markdown
from sfda_kit.results.collection import load_runs
from sfda_kit.source.foreign_weights import read_state
from sfda_kit.source.sealed_card import read_card
from sfda_kit.source.source_card import load_card
from sfda_kit.submissions.verify import verify

Change = Callable[[bytes, random.Random], bytes]
of_json: Change = partial(mutate.of_text, parse=json.loads, write=partial(json.dumps, ensure_ascii=True))
of_yaml: Change = partial(mutate.of_text, parse=yaml.safe_load, write=partial(yaml.safe_dump, sort_keys=False))


@dataclass(frozen=True)
class Fuzzer:
    """``share``: part of all tries, after the cost of one."""

    inputs: Sequence[bytes]
    change: Change
    read: Callable[[Path], Any]
    file: str
    share: float


def fuzzers(workspace: Path, archive: bytes) -> dict[str, Fuzzer]:
    """Return all fuzzers by name. ``workspace``: a folder with the run folder ``runs`` and the source card ``card``."""
    (run,) = (path for path in (workspace / "runs").iterdir() if path.is_dir())
    content = {name: (run / name).read_bytes() for name in ("record.json", "history.json", "config.yaml")}
    settings = yaml.safe_dump({"method": "shot", **SETTINGS}).encode()
    cards = [path.read_bytes() for path in shipped_cards().values()]
    suites = [path.read_bytes() for path in shipped_suites().values()]
    table = b"path,class,domain,modality,pair,group\na.png,bed,cam,rgb,1,room1\nb.png,bed,cam,depth,1,room1\n"
    weights = workspace / "weights.pt"
    torch.save({"state_dict": {"a.weight": torch.ones(2, 3), "a.bias": torch.zeros(2)}, "epoch": 3}, weights)
    tensors = (workspace / "card" / "model.safetensors").read_bytes()[:20_000]
    return {
        "settings": Fuzzer([settings], of_yaml, lambda path: load_config(read_yaml(path)), "settings.yaml", 0.2),
        "suite": Fuzzer(suites, of_yaml, _suite, "suite.yaml", 0.05),
        "reproduction card": Fuzzer(cards, of_yaml, lambda path: load_reproduction_card(str(path)), "card.yaml", 0.1),
        "YAML": Fuzzer([settings, content["config.yaml"]], mutate.of_bytes, _yaml, "any.yaml", 0.1),
        "source card": Fuzzer([(workspace / "card" / "card.json").read_bytes()], of_json, load_card, "card.json", 0.1),
        "model card": Fuzzer([(run / "model" / "card.json").read_bytes()], of_json, _model_card, "card.json", 0.05),
        "record": Fuzzer([content["record.json"]], of_json, _board, "record.json", 0.1),
        "image list": Fuzzer([b"a/b.jpg 0\nc/d e.png 11\n"], mutate.of_bytes, _image_list, "image_list.txt", 0.1),
        "table": Fuzzer([table], mutate.of_bytes, _table, "list.csv", 0.05),
        "groups": Fuzzer([b"stem,group\na,1\nb,2\n"], mutate.of_bytes, read_groups, "groups.csv", 0.05),
        "checkpoint": Fuzzer([weights.read_bytes()], mutate.of_bytes, read_state, "a.pt", 0.06),
        "weights": Fuzzer([tensors], mutate.of_bytes, read_state, "a.safetensors", 0.03),
        "archive": Fuzzer([archive], mutate.of_bytes, lambda path: verify(path.read_bytes()), "a.zip", 0.01),
    }


def _yaml(path: Path) -> Any:
    try:
        return parse_yaml(path.read_bytes().decode("utf-8", errors="replace"))
    except ValueError as error:
        assert "\n" not in str(error), error
        return None


def _suite(path: Path) -> None:
    expand(load_suite(str(path)), Path("data"))


def _model_card(path: Path) -> None:
    try:
        read_card(AdaptedCard, path, "model card")
    except (OSError, ValueError):  # as ``load_model`` expects
        return


def _image_list(path: Path) -> None:
    read_list(path.parent, "domain", path)


def _table(path: Path) -> None:
    read_table(path, path.parent)


def _board(path: Path) -> None:
    markdown(build_board(load_runs([path.parent])))


def fuzz(outcomes: Outcomes, all_of_them: dict[str, Fuzzer], tries: int, folder: Path, seed: int = 0) -> None:
    """Read ``tries`` changed inputs in all."""
    rng = random.Random(seed)
    for name, fuzzer in all_of_them.items():
        place = folder / f"fuzz {name}" / fuzzer.file
        place.parent.mkdir(exist_ok=True)
        with timed(outcomes, f"fuzz {name}"):
            for _ in range(max(1, round(tries * fuzzer.share))):
                data = fuzzer.change(rng.choice(fuzzer.inputs), rng)
                place.write_bytes(data)
                outcome, text = judged(lambda: fuzzer.read(place), outcomes.longest)  # noqa: B023 (called at once)
                outcomes.add(f"fuzz {name}", outcome, f"{text}\n{data[:300]!r}")
