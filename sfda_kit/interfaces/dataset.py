"""The contract of a dataset: an index of samples, and their pixels on request."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Literal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from sfda_kit.config.models import DatasetConfig
    from sfda_kit.data.decode_cache import ImageFiles

PARTS = ("source", "target-train", "target-test", "ti")
"""The four disjoint parts of a task, in the order of the codes of ``Index.part``."""


@dataclass(frozen=True)
class Split:
    """A split says which classes are task-relevant (TR) and task-irrelevant (TI).

    ``ti_domains``: whether TI pairs come from the target's domain only, or from every domain.
    """

    tr_classes: tuple[str, ...]
    ti_classes: tuple[str, ...]
    ti_domains: Literal["target", "all"] = "target"


@dataclass(frozen=True)
class Index:
    """An index has one row per scene, which is seen in every modality of its domain. All arrays have length N.

    ``names``: unique sample ids (they may contain class names, so no method ever sees them); ``domain``, ``label``,
    ``group``: integer codes; ``group`` is the unit that splits never divide (a room, a video); ``part``: 0 source, 1
    target-train, 2 target-test, 3 TI where the dataset has official parts, else -1. ``notices``: one sentence for each
    thing that was assumed or left out; every run shows and records them.
    """

    names: Sequence[str]
    domain: NDArray[np.int16]
    label: NDArray[np.int16]
    group: NDArray[np.int32]
    part: NDArray[np.int8]
    domains: tuple[str, ...]
    classes: tuple[str, ...]
    notices: tuple[str, ...] = field(default=())


class Dataset(ABC):
    """A dataset is a set of scenes seen by several sensors.

    Required: ``index``, ``splits``, ``read``, ``fingerprint``, ``summary`` and ``modalities``. An unknown key of
    ``config.options`` is a ``UserError``, a bad root or file a ``DataError``. All else is optional:

    * ``image_files``, where each image is a file of its own: held-out images that are copies of others are then found.
      With ``in_one_file = True`` its names are places in one container file, and copies are not looked for;
    * ``bad_rows``, so that ``--skip-bad`` works; ``problems``, a sentence for each sample that ``index`` left out;
    * ``peek``, where ``read`` prepares or keeps more than the rows it is asked for;
    * ``group_name``, so that messages name a group; ``unit``, what the files hold (``mm``, ``centikelvin``);
    * ``licence``, ``citation``, and ``synthetic = True`` for pictures that no sensor took;
    * to call ``progress(what, done, total)``, if the core has set it, while ``read`` takes long.

    Rows that are read alone, in another order or again have the same pixels.

    ``read(rows, modality, size)`` returns pixels of ``len(rows)`` samples, resized to a square:

    * ``rgb``: uint8 (N, size, size, 3);
    * ``depth``: uint16 (N, size, size), millimetres, 0 = missing (never averaged in);
    * ``nir`` and others: (N, size, size), uint8 or uint16 fractions of full scale, or float32 in the unit of the
      modality (thermal: degrees Celsius). Nothing is cut to 8 bits: an encoding does that, if at all.

    Example::

        class Pairs(Dataset):
            summary, modalities = "my two cameras", ("rgb", "thermal")
            def index(self): ...
            def splits(self): return {"default": Split(("cat", "dog"), ("cow",))}
            def read(self, rows, modality, size): ...
            def fingerprint(self): return "sha256 of what is on the disk"
    """

    summary: ClassVar[str]
    modalities: ClassVar[tuple[str, ...]]
    licence: ClassVar[str] = ""
    citation: ClassVar[str] = ""
    synthetic: ClassVar[bool] = False
    in_one_file: ClassVar[bool] = False
    unit: str | None = None
    problems: tuple[str, ...] = ()
    progress: Callable[[str, int, int], None] | None = None

    def __init__(self, config: DatasetConfig) -> None:
        """Keep ``config`` (root, units, options). This must be cheap; it raises ``DataError`` on a bad root."""
        self.config = config

    @abstractmethod
    def index(self) -> Index:
        """Return the index of all samples, always the same, without decoding any image."""

    @abstractmethod
    def splits(self) -> Mapping[str, Split]:
        """Return the named TR/TI splits; the first is the default."""

    @abstractmethod
    def read(self, rows: NDArray[np.int64], modality: str, size: int) -> NDArray[np.generic]:
        """Return the pixels of the given rows (see the class docstring). Raises ``DataError`` on a bad file."""

    def peek(self, rows: NDArray[np.int64], modality: str, size: int) -> NDArray[np.generic]:
        """Return the same pixels of a few rows that are only looked at, such as those of a sample sheet."""
        return self.read(rows, modality, size)

    @abstractmethod
    def fingerprint(self) -> str:
        """Return a hex digest that changes whenever the samples, their labels or their pixels change.

        It is the same in every process and on every computer that has the same data.
        """

    def image_files(self, rows: NDArray[np.int64], modality: str) -> ImageFiles | None:
        """Return the files of ``rows``, one for each row in their order; None where images have no files of their own.

        ``ImageFiles(root, names, modality, unit).load(size)`` is also a whole ``read``, which keeps decoded images.
        """
        del rows, modality
        return None

    def bad_rows(self, modalities: tuple[str, ...]) -> Mapping[int, str]:
        """Return the rows whose pixels cannot be read, with the reason; called only under ``--skip-bad``."""
        del modalities
        return {}

    def group_name(self, row: int) -> str:
        """Return the name of the group of ``row`` for messages, by default its number."""
        return f"number {self.index().group[row]}"
