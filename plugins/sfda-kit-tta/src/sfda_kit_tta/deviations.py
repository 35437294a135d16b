"""Where AdaBN, TENT and T3A differ from their papers or from their authors' code."""

from __future__ import annotations

from sfda_kit import Deviation

HELD_OUT = Deviation(
    of="held-out figures",
    theirs="every image is answered in the stream",
    ours="images that are held out are answered by the final state, frozen",
    why="an adapted model is to be used on single images later",
    effect="transductive figures are the published kind; held-out ones are another quantity",
)

ADABN = (
    Deviation(
        of="algorithm 1, statistics",
        theirs="mean and variance of each neuron over all target images",
        ours="pooled over batches in one pass; in the layers below, each batch is normalised by its own statistics",
        why="all images at once need too much memory",
        effect="none where adapt.evaluation_batch_size is at least the number of images",
    ),
)

TENT = (
    Deviation(
        of="which layers learn",
        theirs="scale and shift of BatchNorm2d only; a BatchNorm1d keeps its own",
        ours="scale and shift of every BatchNorm layer, that of the bottleneck among them",
        why="the paper says all normalisation layers, and its networks have no bottleneck",
        effect="two more vectors of the bottleneck's width learn",
    ),
    Deviation(
        of="mode of the network",
        theirs="all of it is in training mode, so dropout and stochastic depth draw",
        ours="BatchNorm alone is in training mode",
        why="answers that draw at random are worse estimates",
        effect="none in networks without dropout and stochastic depth, such as ResNets",
    ),
    Deviation(
        of="networks without BatchNorm",
        theirs="not in the code; the paper names the possibility",
        ours="scale and shift of LayerNorm and GroupNorm layers learn, beside the bottleneck's BatchNorm",
        why="vision transformers and ConvNeXt have no BatchNorm",
        effect="the paper has no results for these",
    ),
    Deviation(
        of="the last images of a pass",
        theirs="an incomplete last batch is taken as it is",
        ours="all images are split into batches of nearly equal size, from adapt.batch_size up to less than twice that",
        why="the statistics of a tiny batch, or of one image, are no estimate",
        effect="batches are a little larger than asked for where the size does not divide the number of images",
    ),
    Deviation(
        of="statistics of the final state",
        theirs="there is none: each batch is normalised by its own statistics",
        ours="estimated anew over the target images with the final scale and shift, in one more pass",
        why="a single image has no batch",
        effect="held-out figures alone",
    ),
    Deviation(
        of="rate of SGD",
        theirs="1e-3 in the code where SGD is chosen, 2.5e-4 in the paper for ImageNet",
        ours="2.5e-4 unless recipe.options.lr is set",
        why="SGD is what the paper used for ImageNet",
        effect="none with Adam, the default of both",
    ),
    HELD_OUT,
)

T3A = (
    Deviation(
        of="the number M of supports",
        theirs="1, 5, 20, 50, 100 and all are run, and source images choose",
        ours="20 unless recipe.options.support is set",
        why="the source images are gone",
        effect="depends on the data; `sfda-kit ablate` sweeps it",
    ),
    Deviation(
        of="all supports (M = -1)",
        theirs="a slip drops the support of largest entropy of each class at every batch",
        ours="`support: null` keeps all",
        why="all must mean all",
        effect="in the golden case with M = -1 (60 images, 7 classes) 8 % of the answers differ",
    ),
    Deviation(
        of="order and batches",
        theirs="the order of the data set, batches of 32, an incomplete last one is left out",
        ours="an order drawn from the seed, batches of adapt.batch_size, the last one smaller",
        why="data sets are often sorted by class; every image needs an answer",
        effect="in three golden cases, with 20 other orders each, 0 to 22 % of the answers differ; with batches of 16 "
        "or 64 instead of 32, 2 to 7 %",
    ),
    HELD_OUT,
)
