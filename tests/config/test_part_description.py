"""What a part tells of its options: types, defaults, and what its docstrings say of each."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, Field

from sfda_kit.config.part_description import describe_part
from sfda_kit.plugins.component import Component


class Google:
    """A part.

    Args:
        rate (float): how fast it goes.
        where: where it begins.
    """

    def __init__(self, rate: float, where: Path = Path("here"), sizes: tuple[int, ...] = (1, 2)) -> None: ...


class Options(BaseModel):
    """``depth``: filled or raw."""

    depth: str = "filled"
    splits: Path | None = Field(None, description="a file of splits")


class Loader:
    options_model = Options

    def __init__(self, config: object) -> None: ...


class Runs:
    """Option ``threads``: of each cell."""

    def __init__(self, workers: int | None = None, threads: int = 1) -> None: ...


def options_of(target: type, kind: str) -> list[tuple[object, ...]]:
    described = describe_part(Component("p", f"{__name__}:{target.__name__}", "a part", kind=kind))
    return [tuple(option.values()) for option in described["options"]]


def test_options_of_init_with_a_docstring_of_arguments():
    assert options_of(Google, "aligner") == [
        ("rate", "float", True, None, "how fast it goes."),
        ("where", "Path", False, repr(Path("here")), "where it begins."),
        ("sizes", "tuple[int, ...]", False, [1, 2], ""),
    ]


def test_options_of_a_data_set_are_those_of_its_model():
    depth, splits = options_of(Loader, "dataset")
    assert depth == ("depth", "str", False, "filled", "`depth`: filled or raw.")
    assert (splits[0], splits[3:]) == ("splits", (None, "a file of splits"))


def test_what_the_core_gives_is_no_option():
    assert options_of(Runs, "executor") == [("threads", "int", False, 1, "Option `threads`: of each cell.")]
