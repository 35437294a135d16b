"""The functions of tensors that this package exports: read by ``__init__.py``, by type checkers and by editors."""

from .losses import contrastive_loss as contrastive_loss
from .losses import draw_complementary_labels as draw_complementary_labels
from .losses import neighbour_labels as neighbour_labels
from .losses import plue_loss as plue_loss
