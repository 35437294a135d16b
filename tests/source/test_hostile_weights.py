"""Weights of strangers that are broken on purpose: one sentence, no traceback and no endless search."""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from sfda_kit.errors import UserError
from sfda_kit.source.foreign_weights import read_state


def holds_itself(path: Path) -> None:
    state = {"weight": torch.zeros(2)}
    state["state_dict"] = state
    torch.save(state, path)


def broken_zip(path: Path) -> None:
    torch.save({"weight": torch.zeros(2)}, path)
    path.write_bytes(path.read_bytes()[:-30])


def zip_of_others(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02}")


def hostile_header(path: Path) -> None:
    path.write_bytes((2**62).to_bytes(8, "little") + b"{}")


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("a.pt", broken_zip),
        ("a.pt", zip_of_others),
        ("a.pt", lambda path: path.write_bytes(b"\x80\x02")),
        ("a.pt", lambda path: path.write_bytes(b"PK")),
        ("a.pt", lambda path: path.write_bytes(b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\xff")),
        ("a.pt", lambda path: path.write_bytes(pickle.dumps(print))),
        ("a.pt", lambda path: torch.save({"\x1b[2J" * 1000: 1}, path)),
        ("a.pt", lambda path: torch.save({"weight": torch.tensor([1.0, float("nan")])}, path)),
        ("a.safetensors", hostile_header),
        ("a.safetensors", lambda path: path.write_bytes(b"")),
        ("a.safetensors", lambda path: save_file({"bias": torch.tensor([float("inf")])}, path)),
    ],
)
def test_broken_weights_are_refused_in_few_words(tmp_path, name, write):
    write(tmp_path / name)
    with pytest.raises(UserError) as caught:
        read_state(tmp_path / name)
    assert len(str(caught.value)) < 700


def test_a_state_dict_that_holds_itself_is_read_without_end(tmp_path):
    holds_itself(tmp_path / "a.pt")
    assert list(read_state(tmp_path / "a.pt")) == ["weight"]
