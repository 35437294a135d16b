"""The functions of tensors that this package exports: read by ``__init__.py``, by type checkers and by editors."""

from .adversarial import domain_adversarial_loss as domain_adversarial_loss
from .adversarial import reversal_strength as reversal_strength
from .coral import coral_loss as coral_loss
from .mmd import mmd_loss as mmd_loss
from .predictions import distillation_loss as distillation_loss
