"""The functions of tensors that this package exports: read by ``__init__.py``, by type checkers and by editors."""

from .aad import attraction_loss as attraction_loss
from .aad import dispersion_loss as dispersion_loss
from .cowa_jmds import draw_mixup as draw_mixup
from .cowa_jmds import mixup as mixup
from .cowa_jmds import weighted_mixup_loss as weighted_mixup_loss
from .jmds import jmds_labels as jmds_labels
from .nearest import neighbour_search as neighbour_search
from .nrc import diversity_loss as diversity_loss
from .nrc import nrc_loss as nrc_loss
