"""What runs and caches are known by stays as it is, unless an algorithm version or a default is changed on purpose.

``committed_digests.json`` holds, for the first seed of each cell of each shipped suite, the digest of its
configuration and, on the embedded benchmark, the key of its run and that of its source model.
"""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path

import pytest

from sfda_kit.bench.cells import Resolver, expand
from sfda_kit.bench.suite import load_suite, shipped_suites
from sfda_kit.config.digest import digest
from sfda_kit.data.task import build_task
from sfda_kit.plugins.shipped import SHIPPED
from sfda_kit.runs.plan import resolve
from sfda_kit.source.source_stage import source_identity

pytestmark = [
    pytest.mark.slow,
    pytest.mark.needs_plugin(*sorted({*SHIPPED.values()} - {"sfda-kit-ray", "sfda-kit-slurm"})),
]


@pytest.fixture(autouse=True)
def code_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """The code of parts is in the keys too. It may change here without anyone's renewing of the list."""
    monkeypatch.setattr("sfda_kit.plugins.code_hash.code_hash", lambda part: "code")


COMMITTED = json.loads(Path(__file__).with_name("committed_digests.json").read_text())


def test_digests_and_keys_are_those_of_the_committed_list():
    found: dict[str, dict[str, str]] = defaultdict(dict)
    resolver = Resolver()
    for name in shipped_suites():
        suite = load_suite(name)
        for cell in expand(suite, Path("/data")):
            if cell.seed != suite.seeds[0]:
                continue
            where = f"{name}: {cell.row}, {cell.task}, {cell.model}"
            found["configurations"][where] = cell.config.digest()
            if cell.config.dataset.name == "rooms":
                found["runs"][where] = resolver(cell).key
    for kind in ("configurations", "runs"):
        assert found[kind] == COMMITTED[kind]


@pytest.mark.parametrize("name", ["alignments", "rooms", "rooms-mini"])
def test_keys_of_source_models_are_those_of_the_committed_list(name):
    cells = {f"{name}: {cell.task}, {cell.model}": cell for cell in reversed(expand(load_suite(name))) if not cell.seed}
    plans = {where: resolve(cell.config) for where, cell in cells.items()}
    found = {
        where: digest(source_identity(plan.config, build_task(plan.dataset, plan.config.dataset), plan.encoding))
        for where, plan in plans.items()
    }
    expected = {where: key for where, key in COMMITTED["source models"].items() if where.startswith(f"{name}: ")}
    assert found == expected
