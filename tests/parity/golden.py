"""Golden numbers: arrays that published code gave for random inputs, and the tolerances of a comparison."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

HERE = Path(__file__).parent
PRECISIONS = pytest.mark.parametrize("double", [False, True], ids=["single", "double"])


def cases(method: str, kind: str = "") -> list[str]:
    """Return the names of the cases in the folder ``method`` that begin with ``kind``."""
    return sorted(path.stem for path in (HERE / method).glob(f"{kind}*.npz"))


def load(method: str, name: str) -> dict[str, NDArray[Any]]:
    """Return the arrays of the case ``name`` in the folder ``method``."""
    with np.load(HERE / method / f"{name}.npz", allow_pickle=False) as file:
        return dict(file)


def wanted(data: Mapping[str, NDArray[Any]], name: str, double: bool) -> NDArray[Any]:
    """Return the published output ``name`` of a case in the precision asked for."""
    return data[f"out_{name}_f64" if double else f"out_{name}"]


def tensor(value: Any, double: bool, needs_gradient: bool = False) -> Tensor:
    """Return an input of a case in the precision asked for."""
    found = torch.from_numpy(np.asarray(value)).to(torch.float64 if double else torch.float32)
    return found.requires_grad_(needs_gradient)


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
