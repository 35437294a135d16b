"""The check of shapes with which functions of tensors begin, because torch broadcasts many mistakes silently."""

from __future__ import annotations

from torch import Tensor

from sfda_kit.errors import UserError


def check_shapes(function: str, **given: tuple[Tensor, str]) -> None:
    """Raise ``UserError`` unless each tensor has the shape that its letters say; equal letters are equal sizes.

    Example: ``check_shapes("nrc_loss", probabilities=(p, "B K"), rows=(rows, "B"))``.
    """
    sizes: dict[str, int] = {}
    for tensor, letters in given.values():
        names = letters.split()
        if tensor.ndim != len(names) or any(
            sizes.setdefault(name, size) != size for name, size in zip(names, tensor.shape, strict=True)
        ):
            found = ", ".join(f"{name} of shape {tuple(tensor.shape)}" for name, (tensor, _) in given.items())
            wanted = ", ".join(f"({', '.join(letters.split())})" for _, letters in given.values())
            raise UserError(f"{function}: got {found}; expected {wanted}, where equal letters are equal sizes.")
