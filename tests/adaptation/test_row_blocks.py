"""Work in blocks of rows: the same results as without blocks, in files that leave nothing behind."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from sfda_kit import FeatureBank, RecipeMethod, TargetMemory, UserError, fill_bank, load_part
from sfda_kit.adaptation import row_blocks
from sfda_kit.adaptation.row_blocks import all_finite, by_row_blocks, sum_over_row_blocks, zero_rows
from sfda_kit.builtin.neighbour_validators import KnnAgreement, Snd
from sfda_kit.evaluate.evaluation import label_free_diagnostics
from sfda_kit.models.network import NetworkOutput
from sfda_kit.plugins.discovery import build_part, registry
from sfda_kit.scratch import scratch_memory
from sfda_kit.testing.contexts import small_context
from sfda_kit.testing.signals import small_bank

ROWS = 50
EXACT = ("balance", "entropy", "infomax", "source-agreement", "source-drift", "knn-agreement")
"""Validators whose score is the same to the last digit, however the rows are cut."""


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Blocks of 16 rows, so that the last one is shorter, and every table in a file; return the folder of the files."""
    monkeypatch.setattr(row_blocks, "BLOCK_ROWS", 16)
    monkeypatch.setattr(row_blocks, "LARGE_BYTES", 0)
    monkeypatch.setattr("sfda_kit.builtin.neighbour_validators.CELLS", 3 * ROWS)
    monkeypatch.setenv("SFDA_KIT_SCRATCH", str(tmp_path / "scratch"))
    return tmp_path / "scratch"


def banks() -> tuple[FeatureBank, FeatureBank]:
    return small_bank(images=ROWS, seed=3), small_bank(images=ROWS, seed=4)


SCORES = {name: build_part("validator", name)(*banks()) for name in (*EXACT, "bnm", "snd")}
LABELS = {name: build_part("labeler", name)(banks()[0]) for name in registry().names("labeler")}
DIAGNOSTICS = label_free_diagnostics(*banks())
PROBABILITIES = banks()[0].logits.softmax(dim=1)


def test_scores_and_diagnostics_of_blocks_are_those_of_one_block(small_blocks: Path):
    assert {name: build_part("validator", name)(*banks()) for name in EXACT} == {name: SCORES[name] for name in EXACT}
    assert build_part("validator", "bnm")(*banks()) == pytest.approx(SCORES["bnm"], abs=1e-12)
    assert build_part("validator", "snd")(*banks()) == pytest.approx(SCORES["snd"], abs=1e-6)
    assert label_free_diagnostics(*banks()) == DIAGNOSTICS
    assert torch.equal(banks()[0].probabilities, PROBABILITIES)


@pytest.mark.parametrize("name", sorted(LABELS))
def test_labels_of_blocks_are_those_of_one_block(name: str, small_blocks: Path):
    found = build_part("labeler", name)(banks()[0])
    assert torch.equal(found.labels, LABELS[name].labels)
    torch.testing.assert_close(found.weights, LABELS[name].weights)


def test_euclidean_centroids_of_blocks_are_those_of_one_block(monkeypatch: pytest.MonkeyPatch):
    bank = banks()[0]
    labeler = build_part("labeler", "centroid", {"metric": "euclidean", "rounds": 3})
    whole = labeler(bank).labels
    monkeypatch.setattr(row_blocks, "BLOCK_ROWS", 7)
    assert torch.equal(labeler(bank).labels, whole)


def test_neighbours_are_those_of_loops(small_blocks: Path):
    bank = banks()[0]
    unit = F.normalize(bank.features, dim=1)
    shares = []
    for row in range(ROWS):
        near = sorted((other for other in range(ROWS) if other != row), key=lambda o: -float(unit[row] @ unit[o]))[:5]
        shares.append(sum(int(bank.predictions[row] == bank.predictions[other]) for other in near) / 5)
    assert KnnAgreement()(bank, bank) == pytest.approx(sum(shares) / ROWS)
    assert Snd()(bank, bank) > 0


class Rows:
    """Image i is the vector (i, i, i)."""

    def __len__(self) -> int:
        return ROWS

    def batch(self, rows: torch.Tensor) -> torch.Tensor:
        return rows[:, None].float().expand(-1, 3)


class Doubles(torch.nn.Module):
    """It answers with its input, in double precision, and with twice its first value."""

    def forward(self, images: torch.Tensor) -> NetworkOutput:
        return NetworkOutput(images.double(), 2 * images[:, :1])


def test_a_bank_and_a_memory_in_files_hold_the_rows_in_order(small_blocks: Path):
    bank = fill_bank(Doubles(), Rows(), batch_size=8)
    assert bank.features.dtype == bank.logits.dtype == torch.float32
    assert bank.features.tolist() == [[float(row)] * 3 for row in range(ROWS)]
    assert bank.logits[:, 0].tolist() == [2.0 * row for row in range(ROWS)]
    memory = TargetMemory(ROWS, 3, 1)
    memory.fill(bank)
    assert torch.equal(memory.features, F.normalize(bank.features, dim=1))
    memory.write(torch.tensor([4]), torch.tensor([[0.0, 3.0, 4.0]]), torch.tensor([[0.5]]))
    torch.testing.assert_close(memory.features[4], torch.tensor([0.0, 0.6, 0.8]))
    assert memory.probabilities[4] == 0.5
    again = TargetMemory(ROWS, 3, 1)
    again.load_state_dict(memory.state_dict())
    assert torch.equal(again.features, memory.features)


def test_small_tables_vectors_and_other_devices_use_no_file(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(row_blocks, "scratch_memory", lambda length: pytest.fail("a file was made"))
    assert zero_rows((1000, 256)).shape == (1000, 256)
    assert zero_rows((2**20,)).shape == (2**20,)
    assert zero_rows((2**20, 300), "meta").is_meta


def test_narrow_tables_of_a_large_set_lie_in_a_file_too(monkeypatch: pytest.MonkeyPatch):
    made = []
    monkeypatch.setattr(row_blocks, "scratch_memory", lambda length: made.append(length) or bytearray(length))
    assert zero_rows((2**16, 2)).shape == (2**16, 2)
    assert made == []
    assert zero_rows((2**16 + 1, 2)).sum() == 0
    assert made == [8 * (2**16 + 1)]


def test_a_sum_over_blocks_and_a_check_of_blocks(small_blocks: Path):
    table = torch.arange(ROWS, dtype=torch.float64)[:, None]
    assert sum_over_row_blocks(lambda rows: table[rows].sum(), ROWS) == 1225
    assert torch.equal(by_row_blocks(lambda rows: rows[:, 0] + 1, table), table[:, 0] + 1)
    assert all_finite(table)
    table[-1] = float("nan")
    assert not all_finite(table)


def test_files_have_no_name_and_a_killed_process_leaves_none(small_blocks: Path):
    table = zero_rows((1000, 4))
    table[5] = 1
    assert table.sum() == 4
    assert list(small_blocks.iterdir()) == []
    killed = "import os, sfda_kit.scratch as s; m = s.scratch_memory(2**16); m[:3] = b'abc'; os.kill(os.getpid(), 9)"
    assert subprocess.run([sys.executable, "-c", killed], check=False).returncode == -9
    assert list(small_blocks.iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="room is reserved by another call here")
def test_a_full_disk_is_told_with_the_room_that_is_needed(small_blocks: Path, monkeypatch: pytest.MonkeyPatch):
    def full(*given: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(UserError, match=r"needs 1\.50 GiB in .*scratch.* GiB are free.*SFDA_KIT_SCRATCH"):
        zero_rows((2**20, 384))


def test_a_file_system_that_reserves_nothing_is_asked_for_its_free_room(
    small_blocks: Path, monkeypatch: pytest.MonkeyPatch
):
    def unknown(*given: object) -> None:
        raise OSError(errno.EOPNOTSUPP, "not supported")

    monkeypatch.setattr(os, "posix_fallocate", unknown, raising=False)
    assert zero_rows((100, 4)).sum() == 0
    with pytest.raises(UserError, match="GiB are free"):
        zero_rows((2**50, 4))


def test_a_scratch_folder_that_cannot_be_made_is_told(small_blocks: Path, tmp_path: Path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SFDA_KIT_SCRATCH", str(tmp_path / "file" / "below"))
    with pytest.raises(UserError, match=r"Cannot write .*file/below.*SFDA_KIT_SCRATCH"):
        zero_rows((100, 4))


@pytest.mark.parametrize("method", ["shot", "nrc"])
def test_a_method_on_mapped_tables_ends_with_the_same_weights(
    method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def weights(folder: str) -> list[torch.Tensor]:
        context = small_context(tmp_path / folder, recipe=load_part("method", method))
        (*_, last) = RecipeMethod().adapt(context)
        return [*last.model.state_dict().values(), last.bank.features, last.bank.probabilities]

    plain = weights("plain")
    made = []
    monkeypatch.setattr(row_blocks, "LARGE_BYTES", 0)
    monkeypatch.setattr(row_blocks, "scratch_memory", lambda length: made.append(length) or scratch_memory(length))
    monkeypatch.setattr("sfda_kit.training.checkpoint.LARGE_BYTES", 0)
    monkeypatch.setenv("SFDA_KIT_SCRATCH", str(tmp_path / "scratch"))
    mapped = weights("mapped")
    assert len(made) > 2
    assert all(torch.equal(one, other) for one, other in zip(plain, mapped, strict=True))
    assert list((tmp_path / "scratch").iterdir()) == []
