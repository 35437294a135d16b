"""Where TGMB, TGKT and the bridges differ from their papers. The authors' code of TGMB and TGKT is not public."""

from __future__ import annotations

from sfda_kit import Deviation

OBJECTIVE = (
    Deviation(
        of="the objective of the bridge",
        theirs="reconstruction, adversarial and mutual information terms; their weights are not known to us",
        ours="weights 1, 0.1 and 0.3, and a term on the source model's features of weight 1 (none in `tgmb-paper`)",
        why="a pixel error alone may blur what the source model needs",
        effect="see the study of the bridge's terms",
    ),
    Deviation(
        of="where the discriminator acts",
        theirs="not known to us",
        ours="on shallow feature maps of the source model, one location at a time; an option has pixels or bottleneck",
        why="the classes of TI and target images differ, so deep features would pull target images towards those of TI",
        effect="not measured against the paper",
    ),
    Deviation(
        of="how the discriminator is trained",
        theirs="not known to us",
        ours="in the same backward pass, with the gradient reversed between it and the bridge",
        why="one optimiser and one pass train both sides",
        effect="the weight of the term scales what both receive; with Adam the discriminator learns at full speed",
    ),
)
BRIDGE = Deviation(
    of="the bridge",
    theirs="one layer per pixel, BatchNorm and a convolution, as public reviews describe it; VQ-GAN in figures",
    ours="`unet` by default; `fcbnconv` is the described one, and the bridge of `tgmb-paper`",
    why="the described bridge mixes channels of single pixels, which is little for depth",
    effect="see the study of translators",
)
TRANSFER = (
    Deviation(
        of="the weights of L_KL, L_f and L_self",
        theirs="not known to us",
        ours="1, 1 and 0.3",
        why="the paper's values are not known to us; 0.3 is SHOT's weight of its labels",
        effect="not measured against the paper",
    ),
    Deviation(
        of="L_KL and L_f",
        theirs="named; their direction and form are not known to us",
        ours="KL(teacher || student), and the mean squared error of bottleneck features",
        why="the usual forms of distillation",
        effect="not measured against the paper",
    ),
)
JOINT = Deviation(
    of="two stages",
    theirs="the bridge is trained first, then the target model",
    ours="`tgkt-joint` trains both in the same steps",
    why="the paper's reviewers asked for this variant",
    effect="see the study of the two stages",
)
VQGAN = (
    Deviation(
        of="what it reconstructs",
        theirs="its input",
        ours="the source half of a TI pair, from the target half",
        why="it is a bridge",
        effect="another task",
    ),
    Deviation(
        of="perceptual and adversarial losses",
        theirs="features of VGG; a weight from gradients and a delayed start",
        ours="features of the source model; a constant weight from the first step, with the gradient reversed",
        why="the source model is what has to understand the image",
        effect="not measured",
    ),
    Deviation(
        of="network and sums",
        theirs="attention; a PatchGAN of 64 channels with BatchNorm; sums of squares over a code",
        ours="no attention, 256 codes of 32 numbers; 32 channels with GroupNorm, unconditional; means of squares",
        why="images here are small, and a logit is to depend on its own image alone",
        effect="0.14 million parameters; not measured",
    ),
)
