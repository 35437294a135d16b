"""The functions of tensors that this package exports: read by ``__init__.py``, by type checkers and by editors."""

from .bn_stats import bn_statistics_loss as bn_statistics_loss
from .centroid import one_round_centroid_labels as one_round_centroid_labels
