"""Ray on this computer honours the contract of executors."""

from __future__ import annotations

from typing import ClassVar

import pytest

from sfda_kit.testing import ExecutorConformance

pytestmark = pytest.mark.slow


@pytest.mark.xdist_group("ray")
class TestRay(ExecutorConformance):
    name = "ray"
    options: ClassVar[dict[str, float]] = {"cpus": 0.5}
