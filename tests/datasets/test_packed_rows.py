"""Rows in few bytes say what the rows said."""

from __future__ import annotations

import pickle
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfda_kit.datasets.packed_rows import PackedRows, PackedTexts, PackedWords, SceneRow

TEXTS = st.lists(st.text(), max_size=12)


@pytest.mark.slow
@given(TEXTS)
def test_texts_and_words_are_the_same_again(texts):
    for packed in (PackedTexts(texts), PackedWords(texts)):
        assert list(packed) == texts and packed == texts and texts == packed and len(packed) == len(texts)
        assert packed[1:-1] == texts[1:-1] and list(reversed(packed)) == texts[::-1]
        assert pickle.loads(pickle.dumps(packed)) == texts
        assert packed != [*texts, "more"]


def test_file_names_that_are_no_unicode_survive():
    name = b"caf\xe9/\xff.jpg".decode(errors="surrogateescape")
    assert list(PackedTexts([name, "b"])) == [name, "b"]


def test_places_are_counted_as_in_a_list():
    packed = PackedTexts(["a", "bc", ""])
    assert (packed[-1], packed[-3], packed[np.int64(1)]) == ("", "a", "bc")
    assert packed.index("bc") == 1 and "x" not in packed
    for outside in (3, -4):
        with pytest.raises(IndexError, match=f"{outside} of 3"):
            packed[outside]
    with pytest.raises(TypeError):
        packed["a"]


def test_rows_keep_missing_modalities_apart():
    rows = [
        SceneRow("cam/cat/a", "cam", "cat", {"rgb": "cam/rgb/cat/a.jpg", "depth": "cam/depth/cat/a.png"}),
        SceneRow("web/dog/b", "web", "dog", {"rgb": "web/rgb/dog/b.jpg"}),
    ]
    packed = PackedRows(rows)
    assert packed == rows and packed.names == ["cam/cat/a", "web/dog/b"]
    assert packed != rows[:1] and packed != rows[::-1] and PackedRows([]) == []
    assert "2 of SceneRow" in repr(packed)


def test_a_row_of_usual_names_costs_far_less_than_its_strings():
    rows = [
        SceneRow(f"cam/cat/frame{n:07d}", "cam", "cat", {"rgb": f"cam/rgb/cat/frame{n:07d}.jpg"}) for n in range(500)
    ]
    packed = PackedRows(rows)
    size = len(pickle.dumps(packed)) / len(rows)
    assert size < 100 < sum(sys.getsizeof(part) for part in (rows[0].name, rows[0].files["rgb"], rows[0].files))
