"""Slurm honours the contract of executors."""

from __future__ import annotations

import pytest

from sfda_kit.testing import ExecutorConformance

pytestmark = pytest.mark.slow


@pytest.mark.xdist_group("slurm")
@pytest.mark.usefixtures("slurm")
class TestSlurm(ExecutorConformance):
    name = "slurm"
