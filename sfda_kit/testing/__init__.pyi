"""The names that plugin authors test with; ``__init__.py``, type checkers and editors read this file."""

from .conformance_aligner import AlignerConformance as AlignerConformance
from .conformance_bridge import BridgeConformance as BridgeConformance
from .conformance_dataset import DatasetConformance as DatasetConformance
from .conformance_encoding import EncodingConformance as EncodingConformance
from .conformance_executor import ExecutorConformance as ExecutorConformance
from .conformance_labeler import LabelerConformance as LabelerConformance
from .conformance_method import MethodConformance as MethodConformance
from .conformance_modality import ModalityConformance as ModalityConformance
from .conformance_recipe import RecipeConformance as RecipeConformance
from .conformance_tracker import TrackerConformance as TrackerConformance
from .conformance_validator import ValidatorConformance as ValidatorConformance
from .conformance_weights import WeightsConformance as WeightsConformance
from .contexts import small_context as small_context
from .jobs import small_job as small_job
from .networks import small_network as small_network
from .networks import small_source_network as small_source_network
from .signals import small_bank as small_bank
from .signals import small_bridge_signals as small_bridge_signals
from .signals import small_pairs as small_pairs
from .signals import small_step_signals as small_step_signals
from .signals import small_target as small_target
