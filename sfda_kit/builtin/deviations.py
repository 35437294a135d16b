"""Where the validators of the core differ from their papers or from their authors' code."""

from __future__ import annotations

from sfda_kit.plugins.component import Deviation

BNM = (
    Deviation(
        of="what the nuclear norm is divided by",
        theirs="min(N, K) in the code for domain adaptation, N in the paper and in the code for open domains",
        ours="sqrt(N min(N, K))",
        why="with this the score lies in (0, 1] for any number of images; the mean singular value grows with N",
        effect="another factor for the same images and classes, so models keep their order; both published values "
        "follow from ours",
    ),
    Deviation(
        of="which images are scored together",
        theirs="a batch of 36 target images, as a loss; AaD's code scores each tested batch",
        ours="all target images at once, as a score alone",
        why="a score of all images does not depend on how they fall into batches",
        effect="another number than the mean over batches; not measured",
    ),
)

SND = (
    Deviation(
        of="the variant without softmax",
        theirs="the code also computes the score with logits in place of the softmax",
        ours="the score of softmax outputs alone",
        why="it is the one that the paper proposes",
        effect="none to the score of softmax outputs",
    ),
)
