"""Declarations of parts that compare the halves of TI pairs for sfda-kit; the parts are imported on first use.

The functions behind the parts stand in ``__init__.pyi``; each is imported when it is first used.
"""

from __future__ import annotations

import lazy_loader

from sfda_kit import Component, Deviation, hookimpl

__getattr__, _, __all__ = lazy_loader.attach_stub(__name__, __file__)  # dir() must go on to name the hooks

SFDA_KIT_INTERFACE = "1.3"
DISTILLATION = "https://arxiv.org/abs/1503.02531"
MMD = "https://jmlr.org/papers/v13/gretton12a.html"
CORAL = "https://arxiv.org/abs/1607.01719"
FEATURE_CORAL = "https://arxiv.org/abs/1511.05547"
SUPERVISION_TRANSFER = "https://arxiv.org/abs/1507.00448"
DANN = "https://arxiv.org/abs/1505.07818"

ADVERSARIAL = (
    Deviation(
        of="the loss of the discriminator",
        theirs="the losses of both sides are added",
        ours="the losses of both sides are averaged",
        why="our choice",
        effect="half the value and half the gradient at the same weight",
    ),
    Deviation(
        of="the discriminator",
        theirs="has dropout",
        ours="has no dropout",
        why="our choice",
        effect="not measured",
    ),
)
KERNEL = Deviation(
    of="the kernel",
    theirs="one Gaussian",
    ours="the mean of five Gaussians, 0.25 to 4 times the median distance",
    why="a mixture needs no choice of a bandwidth",
    effect="not measured",
)
LAYER = Deviation(
    of="what is aligned",
    theirs="the last layer's outputs of labelled source images and target images",
    ours="bottleneck features of the halves of TI pairs",
    why="the source images are gone",
    effect="another term",
)
PAIR_MAP = (
    Deviation(
        of="the whole method",
        theirs="there is no paper of it; relatives are latent space translation and direct standardisation",
        ours="a base line of this project",
        why="what does one pass without training reach?",
        effect="an own method, not a reproduction",
    ),
    Deviation(
        of="what the map reads",
        theirs="the idea allows features of several depths, averaged with those of the mirrored image",
        ours="the pooled features of the last layer, of the image alone",
        why="such a map folds into the last layers, so the adapted model stays an ordinary network",
        effect="the map has less to read; not measured here",
    ),
    Deviation(
        of="standardised source features",
        theirs="mean and deviation over the source images",
        ours="those that the bottleneck's BatchNorm stores; without a bottleneck those of the pairs' source halves",
        why="the source images are gone",
        effect="not measured",
    ),
)
PAIRS_DISTILLATION = (
    Deviation(
        of="what is matched",
        theirs="features of one layer, squared distance (both papers)",
        ours="bottleneck features, mean squared distance, and predictions, Kullback-Leibler divergence",
        why="the classifier stays, and reads what the predictions tell of the features",
        effect="one more term; not measured",
    ),
    Deviation(
        of="the target network",
        theirs="begins from other weights than the source network, and a new head may be trained with target labels",
        ours="begins as a copy of the source model; the classifier stays",
        why="there are no target labels",
        effect="not measured",
    ),
    Deviation(
        of="the images",
        theirs="the pairs may show the classes of the task (supervision transfer)",
        ours="TI pairs alone, as in zero-shot deep domain adaptation",
        why="that is the setting",
        effect="classes of the task are never distilled",
    ),
)
STANDARDISE = (
    Deviation(
        of="the whole method",
        theirs="there is no paper of it; AdaBN does the same in each BatchNorm layer",
        ours="the last features alone, with the moments that the bottleneck's BatchNorm stores",
        why="a row beside adabn for any backbone",
        effect="an own method, not a reproduction",
    ),
)
FEATURE_CORAL_DEVIATIONS = (
    Deviation(
        of="the direction",
        theirs="source features are brought to the target, and a classifier is trained on them",
        ours="target features are brought to the source; the classifier stays",
        why="the labelled source images are gone",
        effect="not measured",
    ),
    Deviation(
        of="the covariance of the source",
        theirs="over the source images",
        ours="over source halves of TI pairs, which show other classes; the mean is what the bottleneck stores",
        why="the source images are gone",
        effect="differences between the classes are part of a covariance, so it is biased; not measured",
    ),
    Deviation(
        of="the features",
        theirs="fixed features of a network, brought to mean 0 and deviation 1",
        ours="bottleneck features as they are",
        why="the bottleneck's BatchNorm has brought those of the source to a common scale",
        effect="not measured",
    ),
)


@hookimpl
def sfda_kit_register_method() -> list[Component]:
    return [
        Component(
            "pair-map",
            "sfda_kit_alignment.pair_map:PairMap",
            "a linear map of features, fitted on TI pairs in closed form",
            deviations=PAIR_MAP,
            uses=("pairs",),
            tuned_on=("nyu11", "nyu11-ti21"),  # the threshold by which it keeps its map
        ),
        Component(
            "pairs-distillation",
            "sfda_kit_alignment.pairs_distillation:PAIRS_DISTILLATION",
            "the source model teaches on TI pairs alone",
            SUPERVISION_TRANSFER,
            deviations=PAIRS_DISTILLATION,
        ),
        Component(
            "standardise",
            "sfda_kit_alignment.matched_moments:Standardise",
            "mean and deviation of the features from the target to the source",
            deviations=STANDARDISE,
            uses=("pairs if model.bottleneck=0",),
        ),
        Component(
            "coral",
            "sfda_kit_alignment.matched_moments:Coral",
            "covariance of the features from the target to the source",
            FEATURE_CORAL,
            deviations=FEATURE_CORAL_DEVIATIONS,
            uses=("pairs",),
        ),
    ]


@hookimpl
def sfda_kit_register_aligner() -> list[Component]:
    package = "sfda_kit_alignment"
    return [
        Component(
            "ti-predictions",
            f"{package}.predictions:TiPredictions",
            "predictions agree",
            DISTILLATION,
            functions=("distillation_loss",),
            uses=("pairs",),
        ),
        Component(
            "ti-mmd",
            f"{package}.mmd:TiMmd",
            "kernel mean embeddings of the features agree",
            MMD,
            deviations=(KERNEL,),
            functions=("mmd_loss",),
            uses=("pairs",),
        ),
        Component(
            "ti-coral",
            f"{package}.coral:TiCoral",
            "covariances of the features agree",
            CORAL,
            deviations=(LAYER,),
            functions=("coral_loss",),
            uses=("pairs",),
        ),
        Component(
            "ti-adversarial",
            f"{package}.adversarial:TiAdversarial",
            "no discriminator tells them apart",
            DANN,
            deviations=ADVERSARIAL,
            functions=("reversal_strength", "domain_adversarial_loss"),
            uses=("pairs",),
        ),
    ]
