"""Golden numbers: arrays that published code gave for random inputs, and the tolerances of a comparison."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

HERE = Path(__file__).parent


def load(method: str, name: str) -> dict[str, NDArray[Any]]:
    """Return the arrays of the case ``name`` in the folder ``method``."""
    with np.load(HERE / method / f"{name}.npz", allow_pickle=False) as file:
        return dict(file)


def close(found: Any, wanted: NDArray[Any], double: bool) -> None:
    """Assert that ``found`` is ``wanted``: whole numbers equal, others within the tolerance of their precision."""
    values = found.detach().cpu().numpy() if isinstance(found, torch.Tensor) else np.asarray(found)
    assert values.shape == wanted.shape, f"shape {values.shape}, expected {wanted.shape}"
    if wanted.dtype.kind in "iu":
        np.testing.assert_array_equal(values, wanted)
    elif double:
        assert values.dtype == np.float64, f"a comparison in double precision needs doubles, not {values.dtype}"
        np.testing.assert_allclose(values, wanted, rtol=1e-9, atol=1e-11)
    else:
        np.testing.assert_allclose(values, wanted, rtol=1e-4, atol=1e-5)
