"""Declarations of parts that compare the halves of TI pairs for sfda-kit; the parts are imported on first use.

The functions behind the parts stand in ``__init__.pyi``; each is imported when it is first used.
"""

from __future__ import annotations

import lazy_loader

from sfda_kit import Component, Deviation, hookimpl

__getattr__, _, __all__ = lazy_loader.attach_stub(__name__, __file__)  # dir() must go on to name the hooks

SFDA_KIT_INTERFACE = "1.1"
DISTILLATION = "https://arxiv.org/abs/1503.02531"
MMD = "https://jmlr.org/papers/v13/gretton12a.html"
CORAL = "https://arxiv.org/abs/1607.01719"
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


@hookimpl
def sfda_kit_register_method() -> list[Component]:
    return [
        Component(
            "pair-map",
            "sfda_kit_alignment.pair_map:PairMap",
            "a linear map of features, fitted on TI pairs in closed form",
            deviations=PAIR_MAP,
        )
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
        ),
        Component(
            "ti-mmd",
            f"{package}.mmd:TiMmd",
            "kernel mean embeddings of the features agree",
            MMD,
            deviations=(KERNEL,),
            functions=("mmd_loss",),
        ),
        Component(
            "ti-coral",
            f"{package}.coral:TiCoral",
            "covariances of the features agree",
            CORAL,
            deviations=(LAYER,),
            functions=("coral_loss",),
        ),
        Component(
            "ti-adversarial",
            f"{package}.adversarial:TiAdversarial",
            "no discriminator tells them apart",
            DANN,
            deviations=ADVERSARIAL,
            functions=("reversal_strength", "domain_adversarial_loss"),
        ),
    ]
