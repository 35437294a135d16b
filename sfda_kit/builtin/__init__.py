"""Parts that two plugins need, and the baselines; they are declared through the same hooks as any other part."""

from __future__ import annotations

from sfda_kit.builtin import caveats, deviations
from sfda_kit.plugins.component import Component
from sfda_kit.plugins.hookspecs import hookimpl

SHOT = "https://arxiv.org/abs/2002.08546"
SOCKET = "https://arxiv.org/abs/2209.04027"


@hookimpl
def sfda_kit_register_bridge() -> list[Component]:
    return [Component("copy", "sfda_kit.builtin.bridges:Copy", "the encoded target image as it is (control)", uses=())]


@hookimpl
def sfda_kit_register_aligner() -> list[Component]:
    module = "sfda_kit.builtin.aligners"
    return [
        Component(
            "infomax",
            f"{module}:InfoMax",
            "confident and diverse predictions",
            SHOT,
            functions=("information_maximisation",),
            uses=(),
        ),
        Component(
            "ti-features",
            f"{module}:TiFeatures",
            "features of both halves of a TI pair agree",
            SOCKET,
            functions=("feature_matching_loss",),
            uses=("pairs",),
        ),
    ]


@hookimpl
def sfda_kit_register_labeler() -> list[Component]:
    target, summary = "sfda_kit.builtin.centroid:Centroid", "nearest class centroid in feature space"
    return [Component("centroid", target, summary, SHOT, functions=("centroid_labels",))]


@hookimpl
def sfda_kit_register_method() -> list[Component]:
    return [
        Component("source-only", "sfda_kit.builtin.methods:SOURCE_ONLY", "the source model, not adapted"),
        Component(
            "oracle",
            "sfda_kit.evaluate.oracle:Oracle",
            "target-supervised upper bound, never ranks",
            uses=("target-labels",),
        ),
        Component(
            "oracle-plus",
            "sfda_kit.evaluate.oracle:OraclePlus",
            "the oracle with target images of the source groups too, never ranks",
            uses=("target-labels",),
        ),
        Component(
            "majority",
            "sfda_kit.evaluate.controls:Majority",
            "the source's most frequent class, never ranks",
            uses=("statistics",),
        ),
        Component(
            "rgb-ceiling",
            "sfda_kit.evaluate.controls:RgbCeiling",
            "the source model on the RGB halves of the target images, never ranks",
            uses=("other-halves",),
        ),
        Component(
            "probe",
            "sfda_kit.evaluate.probe:Probe",
            "a classifier from few target labels, never ranks",
            uses=("target-labels",),
        ),
        Component(
            "imagenet-head",
            "sfda_kit.evaluate.imagenet_head:ImageNetHead",
            "the ImageNet classifier of the backbone's own weights, zero-shot, never ranks",
            uses=("models", "other-halves if recipe.options.sensor=source"),
        ),
    ]


@hookimpl
def sfda_kit_register_dataset() -> list[Component]:
    return [
        Component(
            "rooms",
            "sfda_kit.rooms.dataset:Rooms",
            "embedded synthetic scenes, 4 sensors",
            caveats=caveats.ROOMS,
        ),
        Component(
            "sun-rgbd",
            "sfda_kit.datasets.sun_rgbd:SunRgbd",
            "SUN RGB-D scenes in the official layout",
            "https://rgbd.cs.princeton.edu",
        ),
        Component(
            "diml",
            "sfda_kit.datasets.diml:Diml",
            "DIML/CVL RGB-D, samples or full release",
            "https://arxiv.org/abs/2110.11590",
        ),
        Component(
            "nyuv2",
            "sfda_kit.datasets.nyuv2:Nyuv2",
            "NYU Depth V2, the official labelled file",
            "https://cs.nyu.edu/~fergus/datasets/nyu_depth_v2.html",
            requires=("h5py",),
            extra="hdf5",
            caveats=caveats.NYUV2,
        ),
        Component(
            "rgb-nir",
            "sfda_kit.datasets.rgb_nir:RgbNir",
            "EPFL RGB-NIR Scene, 9 categories",
            "https://www.epfl.ch/labs/ivrl/research/downloads/rgb-nir-scene-dataset/",
        ),
        Component(
            "eurosat",
            "sfda_kit.datasets.eurosat:Eurosat",
            "EuroSAT multispectral, RGB to NIR or SWIR",
            "https://arxiv.org/abs/1709.00029",
        ),
        Component("domain-folder", "sfda_kit.datasets.domain_folder:DomainFolder", "Office-31, VisDA-C and such"),
        Component("list-file", "sfda_kit.datasets.list_file:ListFile", "images told by a CSV or TSV table"),
        Component(
            "paired-folder",
            "sfda_kit.datasets.paired_folder:PairedFolder",
            "your own paired images",
            caveats=caveats.PAIRED_FOLDER,
        ),
        Component("webdataset", "sfda_kit.shards.dataset:WebDataset", "tar shards in the WebDataset convention"),
    ]


@hookimpl
def sfda_kit_register_modality() -> list[Component]:
    module = "sfda_kit.builtin.modalities"
    return [
        Component("rgb", f"{module}:RGB", "colour, three channels of 8 bits"),
        Component("depth", f"{module}:DEPTH", "distance in metres, 0 is missing"),
        Component("nir", f"{module}:NIR", "near-infrared brightness"),
        Component("swir", f"{module}:SWIR", "short-wave infrared brightness"),
        Component("thermal", f"{module}:THERMAL", "temperature, or an 8-bit picture of it"),
    ]


@hookimpl
def sfda_kit_register_encoding() -> list[Component]:
    module, depth = "sfda_kit.builtin.encodings", "sfda_kit.builtin.depth_encodings"
    return [
        Component("copy", f"{module}:ChannelCopy", "the value in all three channels"),
        Component("jet", f"{module}:Jet", "colour map over the valid range"),
        Component("range", f"{module}:Range", "values from low to high, in the unit of the modality"),
        Component("stretch", f"{module}:Stretch", "each image over its own range"),
        Component("disparity", f"{depth}:Disparity", "near over metres, of depth"),
        Component("normals", f"{depth}:Normals", "surface normals, of depth"),
        Component(
            "hha", f"{depth}:Hha", "disparity, height, angle with gravity, of depth", "https://arxiv.org/abs/1407.5736"
        ),
    ]


@hookimpl
def sfda_kit_register_validator() -> list[Component]:
    module, neighbours = "sfda_kit.builtin.validators", "sfda_kit.builtin.neighbour_validators"
    return [
        Component("entropy", f"{module}:Entropy", "confident predictions"),
        Component("infomax", f"{module}:InfoMaxValidator", "confident and diverse predictions"),
        Component(
            "bnm",
            f"{module}:Bnm",
            "nuclear norm of the predictions",
            "https://arxiv.org/abs/2003.12237",
            deviations=deviations.BNM,
        ),
        Component(
            "snd",
            f"{neighbours}:Snd",
            "soft neighbourhood density",
            "https://arxiv.org/abs/2108.10860",
            deviations=deviations.SND,
        ),
        Component("knn-agreement", f"{neighbours}:KnnAgreement", "neighbours in feature space are predicted alike"),
        Component("source-agreement", f"{module}:SourceAgreement", "predictions of the source model are kept"),
        Component("source-drift", f"{module}:SourceDrift", "small divergence from the source model's predictions"),
        Component(
            "pair-agreement", f"{module}:PairAgreement", "both halves of a TI pair are predicted alike", uses=("pairs",)
        ),
        Component("augmentation-consistency", f"{module}:AugmentationConsistency", "crops are predicted alike"),
        Component("balance", f"{module}:Balance", "predicted classes are spread"),
    ]


@hookimpl
def sfda_kit_register_executor() -> list[Component]:
    return [Component("local", "sfda_kit.bench.local:Local", "processes on this computer")]


@hookimpl
def sfda_kit_register_tracker() -> list[Component]:
    target = "sfda_kit.builtin.tensorboard:TensorBoard"
    summary = "event files for TensorBoard in the run folder"
    return [Component("tensorboard", target, summary, requires=("tensorboard",), extra="tensorboard")]
