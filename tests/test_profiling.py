"""The time of nested parts is counted once."""

from __future__ import annotations

from dataclasses import dataclass

from sfda_kit.profiling import PREFIX, time_by_part


@dataclass
class Fake:
    name: str
    cpu_time_total: float
    cpu_parent: Fake | None = None


def test_a_part_leaves_out_what_is_inside_it():
    step = Fake("aten::outer", 9e6)
    terms = Fake(PREFIX + "loss terms", 5e6, step)
    between = Fake("aten::conv", 4e6, terms)
    network = Fake(PREFIX + "network", 3e6, between)
    images = Fake(PREFIX + "images", 1e6, network)
    again = Fake(PREFIX + "images", 0.5e6)
    found = time_by_part([step, terms, between, network, images, again])
    assert found == {"loss terms": 2.0, "network": 2.0, "images": 1.5}
