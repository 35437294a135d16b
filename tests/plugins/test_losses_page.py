"""The page of losses has every function with its signature, and its examples run. ``python FILE`` writes the table."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
import torch

from sfda_kit.plugins.component import Component
from sfda_kit.plugins.discovery import registry
from sfda_kit.plugins.shipped import SHIPPED
from sfda_kit.testing.networks import SIDE, small_network

PAGE = Path(__file__).parents[2] / "docs" / "losses.md"
HEAD = "| part | function | source |\n| --- | --- | --- |\n"


def signature(part: Component, name: str) -> str:
    """The call of a function, with its defaults and without types."""
    given = inspect.signature(getattr(import_module(part.package), name))
    parameters = [p.replace(annotation=p.empty) for p in given.parameters.values()]
    text = str(given.replace(parameters=parameters, return_annotation=inspect.Signature.empty))
    return f"{part.package}.{name}" + re.sub(r"<function (\w+) at \w+>", r"\1", text)


def rows() -> Iterator[str]:
    for kind in ("aligner", "labeler"):
        for part in registry().of_kind(kind):
            if part.owner in {"sfda-kit", *SHIPPED.values()}:
                paper = f"[paper]({part.paper.replace('arXiv ', 'https://arxiv.org/abs/')})"
                yield from (f"| `{part.name}` | `{signature(part, name)}` | {paper} |\n" for name in part.functions)


@pytest.mark.needs_plugin(*sorted(set(SHIPPED.values())))
def test_the_table_is_what_the_packages_export() -> None:
    table = HEAD + "".join(rows())
    assert PAGE.read_text(encoding="utf-8").endswith(table), "python tests/plugins/test_losses_page.py writes it anew"


@pytest.mark.needs_plugin("sfda-kit-neighbors")
def test_the_examples_run() -> None:
    network, images = small_network(), torch.randn(40, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    given = {
        "network": network,
        "images": images,
        "optimizer": torch.optim.SGD(network.parameters(), lr=0.01),
        "epochs": 2,
        "classes": network.class_count,
        "width": network.feature_width,
    }
    for code in re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL):
        before = [parameter.detach().clone() for parameter in network.parameters()]
        exec(compile(code, str(PAGE), "exec"), given)
        assert given["loss"].isfinite()  # type: ignore[attr-defined]
        assert any(not torch.equal(a, b) for a, b in zip(before, network.parameters(), strict=True))


if __name__ == "__main__":
    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(text[: text.index(HEAD)] + HEAD + "".join(rows()), encoding="utf-8")
