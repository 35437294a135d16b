"""Methods that the core makes of the views of a run: bounds and controls, which no plugin could declare."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar

from sfda_kit.interfaces.method import Method

if TYPE_CHECKING:
    from sfda_kit.config.models import RunConfig
    from sfda_kit.data.open_views import ViewOpener
    from sfda_kit.data.task import Task
    from sfda_kit.data.views import LabelledView, Normalisation


class CoreMethod(Method):
    """A core method is handed the opener of the run's views before ``adapt``. Only the core may declare one.

    ``needs_target_labels``: its runs are marked as made with target labels. ``is_scored_on_source_halves``: its
    answers are those to the source sensor's pictures of the target images. ``leaves_model``: the run keeps its network,
    which is then one like the source model's.
    """

    opens_views: ClassVar[bool] = True
    needs_target_labels: ClassVar[bool] = False
    leaves_model: ClassVar[bool] = True
    is_scored_on_source_halves: bool = False

    def check_task(self, opener: ViewOpener, config: RunConfig) -> None:
        """Raise ``UserError``, before a source model is trained, where the run lacks what the method needs."""
        del opener, config

    def notices(self, task: Task) -> list[str]:
        """Return sentences on this method and ``task`` for the record and the user."""
        del task
        return []

    @abstractmethod
    def open_views(self, opener: ViewOpener, normalisation: Normalisation, config: RunConfig) -> None:
        """Take what the method needs from the run. Raises ``UserError`` where the task does not have it."""


class LabelledMethod(CoreMethod):
    """A labelled method learns from the labels of the target training images."""

    needs_target_labels: ClassVar[bool] = True

    def open_views(self, opener: ViewOpener, normalisation: Normalisation, config: RunConfig) -> None:
        """Take the labelled target training images."""
        self.take(opener.labelled_target(normalisation), config)

    def take(self, labelled: LabelledView, config: RunConfig) -> None:
        """Keep the images and the configuration of the run."""
        self.labelled, self.config = labelled, config
