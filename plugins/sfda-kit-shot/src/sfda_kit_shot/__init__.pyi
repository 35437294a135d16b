"""The functions of tensors that this package exports: read by ``__init__.py``, by type checkers and by editors."""

from .entropy_split import entropy_split_labels as entropy_split_labels
from .mixmatch import mixmatch_loss as mixmatch_loss
from .mixmatch import mixmatch_mixup as mixmatch_mixup
from .mixmatch import sharpen as sharpen
from .rotation import draw_rotations as draw_rotations
from .rotation import relative_rotation_loss as relative_rotation_loss
