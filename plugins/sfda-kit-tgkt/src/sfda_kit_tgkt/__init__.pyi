"""The functions of tensors that this package exports: read by ``__init__.py``, by type checkers and by editors."""

from .distill import distillation_loss as distillation_loss
