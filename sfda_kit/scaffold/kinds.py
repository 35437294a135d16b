"""The kinds of parts that a new plugin may have, one line and one template (``templates/parts``) each."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PartKind:
    """What the example of one kind is, and how it is tested and used.

    ``summary``: of its declaration; ``suite``: the conformance suite that its test inherits; ``flag``: what uses it in
    ``sfda-kit run``; ``command``: what uses it otherwise; ``uses``: what it declares to use. ``{}`` stands for the
    part's name. Where a test needs more than the suite, it is ``templates/tests/KIND.py.jinja``.
    """

    summary: str
    suite: str
    flag: str = ""
    command: str = ""
    uses: str = ""


PART_KINDS = {
    "bridge": PartKind(
        "a correction of each pixel, learned from TI pairs", "BridgeConformance", "--bridge {}", uses='("pairs",)'
    ),
    "aligner": PartKind("gap between the two likeliest classes", "AlignerConformance", "--aligner {}=0.1", uses="()"),
    "labeler": PartKind("the likeliest class, weighted by its probability", "LabelerConformance", "--labeler {}"),
    "method": PartKind("a recipe of weighted terms and pseudo-labels", "RecipeConformance", "--method {}"),
    "dataset": PartKind(
        "RGB and depth images in folders of classes",
        "DatasetConformance",
        command="sfda-kit data show {} --data-root DIR",
    ),
    "modality": PartKind(
        "radar backscatter in decibels", "ModalityConformance", command="sfda-kit plugins show {} --kind modality"
    ),
    "encoding": PartKind("logarithm of the distance", "EncodingConformance", "--encoding {}"),
    "validator": PartKind("confidence, averaged over classes", "ValidatorConformance", "--select {}"),
    "executor": PartKind(
        "processes on this computer", "ExecutorConformance", command="sfda-kit bench rooms-mini --executor {}"
    ),
    "tracker": PartKind("the figures of each epoch as JSON lines", "TrackerConformance", "--tracker {}"),
    "weights": PartKind("random weights of a small network", "WeightsConformance", "--backbone-weights {}"),
}
"""By the kinds of ``plugins/hookspecs.py``, in their order."""

IN_RECIPE = ("bridge", "aligner", "labeler")
"""The kinds that a recipe names: a method that is written with them uses them."""
NEED_PHASE = {"aligner", "labeler", "validator"}
"""The kinds that have nothing to do in a recipe without phases, such as ``source-only``."""
