"""The options of ``run``, ``adapt``, ``ablate`` and ``source train``, each once, in the groups that the help shows.

Options that other commands take too have names of their own above the groups. The help shows the defaults of the
configuration and its presets; ``X; pretrained: Y`` means that the preset for pretrained networks has default Y.
"""

from pathlib import Path
from typing import Annotated, Any, get_args

import typer

from sfda_kit.cli import completion
from sfda_kit.cli.groups import HELP_PANEL, OptionGroup, Setting, parameters
from sfda_kit.errors import UserError


def names(text: str) -> list[str]:
    """Split ``A,B`` into ``["A", "B"]``."""
    return [name.strip() for name in text.split(",") if name.strip()]


def weights(texts: list[str]) -> dict[str, float]:
    """Turn ``["bn-stats=0.1", "infomax"]`` into ``{"bn-stats": 0.1, "infomax": 1.0}``. Raises ``UserError``."""
    found = {}
    for text in texts:
        name, equals, weight = text.partition("=")
        try:
            found[name] = float(weight) if equals else 1.0
        except ValueError:
            raise UserError(f"--aligner {text!r}: expected NAME=WEIGHT, for example --aligner bn-stats=0.1") from None
    return found


Text = str | None
Texts = list[str] | None
Paths = list[Path] | None
Whole = int | None

DataRoot = Annotated[Path | None, Setting("dataset.root", "Folder of the data set on this disk.")]
Split = Annotated[Text, Setting("dataset.split", "Named split into TR and TI classes.", "by data set")]
SplitSeed = Annotated[Whole, Setting("dataset.split_seed", "Fixes which images are for training and for tests.", "0")]
GroupPattern = Annotated[
    Text, Setting("dataset.group_pattern", "Regex on file names: images with equal matches stay together.")
]
Unit = Annotated[
    Text,
    Setting("dataset.unit", "What files hold: mm, m, centikelvin, celsius, 12-bit, ...", "the data set's own, else mm"),
]
Shares = Annotated[
    Text, Setting("dataset.shares", "Shares of source, target training and target tests: A,B,C.", "0.45,0.3,0.25")
]
SkipBad = Annotated[
    bool, Setting("dataset.skip_bad", "Leave out and record unreadable images and held-out copies.", flag="--skip-bad")
]
Assignments = Annotated[Texts, typer.Option("--set", help="Any setting: KEY.KEY=VALUE; repeatable.")]
NetworkFactory = Annotated[
    str | None,
    typer.Option("--model", help="package.module:function that makes the network of a card; it is run."),
]
Kind = Annotated[
    str | None, typer.Option(help="The kind of part, where several have this name.", autocompletion=completion.kinds)
]
RunFolder = Annotated[
    Path, typer.Option(help="Run folder of `sfda-kit run` or `sfda-kit adapt`.", autocompletion=completion.runs)
]
DatasetName = Annotated[
    str, typer.Argument(help="As `sfda-kit data list` names it.", autocompletion=completion.parts("dataset"))
]
RunsDir = Annotated[Path, typer.Option(help="Where run folders are made.")]
AsJson = Annotated[bool, typer.Option("--json", help="Last line of stdout: one JSON object.")]


class BasicOptions(OptionGroup):
    panel = "What to run"
    method: Annotated[
        Text, Setting("method", "Method, or its YAML file; `sfda-kit plugins list --kind method` shows all.")
    ]
    preset: Annotated[
        Text,
        Setting("preset", "Named settings: scratch, pretrained, or a preset of the method.", "by model"),
    ]
    config: Annotated[Path | None, typer.Option(help="YAML file of settings; options given here win over it.")]
    set_: Assignments
    seed: Annotated[Whole, Setting("seed", "Fixes everything random except the split.", "0")]
    device: Annotated[Text, Setting("compute.device", "Where to compute: cpu, cuda, mps, ...", "auto")]
    deterministic: Annotated[
        bool, Setting("compute.deterministic", "Allow only operations that repeat exactly.", flag="--deterministic")
    ] = False
    precision: Annotated[Text, Setting("compute.precision", "Of the passes: fp32, bf16, fp16 or auto.", "fp32")]


class TaskOptions(OptionGroup):
    panel = "Data"
    dataset: Annotated[Text, Setting("dataset.name", "Data set; `sfda-kit data list` shows all.", "rooms")]
    data_root: DataRoot
    source: Annotated[Text, Setting("dataset.source", "Source sensor: MODALITY@DOMAIN.", "rgb@kv1")]
    target: Annotated[Text, Setting("dataset.target", "Target sensor: MODALITY@DOMAIN.", "depth@kv1")]
    split: Split
    tr_classes: Annotated[Text, Setting("dataset.tr_classes", "Task-relevant (TR): A,B,...", "from --split", names)]
    ti_classes: Annotated[Text, Setting("dataset.ti_classes", "Task-irrelevant (TI): C,D,...", "from --split", names)]
    split_seed: SplitSeed
    shares: Shares
    fold: Annotated[Whole, Setting("dataset.fold", "Take the parts from this fold, 0, 1, ..., of a fold file.")]
    folds: Annotated[Text, Setting("dataset.folds", "Shipped fold file.", "folds.json at --data-root")]
    protocol: Annotated[Text, Setting("dataset.protocol", "grouped, or paper: nothing held out.", "grouped")]
    pairs: Annotated[
        Text, Setting("dataset.pairs", "matched, or a control: shuffled, shuffled-within-class.", "matched")
    ]
    group_pattern: GroupPattern


class ImageOptions(OptionGroup):
    panel = "Data"
    unit: Unit
    skip_bad: SkipBad = False
    encoding: Annotated[Text, Setting("encoding.name", "Sensor values to three channels: copy, jet, ...", "copy")]


class ModelOptions(OptionGroup):
    panel = "Model"
    backbone: Annotated[Text, Setting("model.backbone", "A timm model or package.module:function.", "resnet10t")]
    pretrained: Annotated[bool, Setting("model.pretrained", "Start from timm's weights.", flag="--pretrained")] = False
    backbone_weights: Annotated[
        Text, Setting("model.backbone_weights", "Start from these: an installed set, a file, a folder or hf-hub:NAME.")
    ]
    image_size: Annotated[Whole, Setting("model.image_size", "Side of the network's input in pixels.", "64")]
    source_card: Annotated[Paths, Setting("source.card", "Use this source model, train none; repeat to mix several.")]


class SourceOptions(OptionGroup):
    panel = "Training"
    source_epochs: Annotated[Whole, Setting("source.epochs", "Epochs of source training.", "by source.steps")]
    source_floor: Annotated[
        float | None,
        Setting("source.floor", "Least source accuracy, in percent.", "twice chance"),
    ]


class AdaptationOptions(OptionGroup):
    panel = "Training"
    bridge_epochs: Annotated[Whole, Setting("bridge_training.epochs", "Epochs of the bridge.", "1.5 times --epochs")]
    epochs: Annotated[Whole, Setting("adapt.epochs", "Epochs of the main phase.", "10; pretrained: 15")]
    batch_size: Annotated[Whole, Setting("adapt.batch_size", "Images in a step of the adaptation.", "64")]
    accumulate: Annotated[Whole, Setting("adapt.accumulate", "Parts of a step; BatchNorm sees one at a time.", "1")]
    checkpoint_activations: Annotated[
        bool,
        Setting(
            "compute.checkpoint_activations",
            "Compute activations twice: less memory, more time.",
            flag="--checkpoint-activations",
        ),
    ] = False
    select: Annotated[Text, Setting("adapt.select.name", "Validator that picks the epoch, or last.", "last")]
    evaluate: Annotated[Text, Setting("adapt.evaluate", "Score held-out images after every epoch, or last.", "every")]
    on_collapse: Annotated[Text, Setting("adapt.on_collapse", "If classes collapse: warn, stop or rollback.", "warn")]


class PartOptions(OptionGroup):
    panel = "Parts"
    bridge: Annotated[Text, Setting("recipe.bridge", "Teacher bridge if there is one, else input.", "by method")]
    input_bridge: Annotated[Text, Setting("recipe.input_bridge", "Makes what the adapted network sees.", "by method")]
    teacher_bridge: Annotated[Text, Setting("recipe.teacher_bridge", "Makes what the source model sees.", "by method")]
    labeler: Annotated[Text, Setting("recipe.labeler", "Pseudo-labeler, or none.", "by method")]
    aligner: Annotated[Texts, Setting("recipe.aligners", "Loss term: NAME=WEIGHT; 0 removes it.", "by method", weights)]


class OutputOptions(OptionGroup):
    panel = HELP_PANEL
    runs_dir: RunsDir = Path("runs")
    resume: Annotated[bool, typer.Option("--resume", help="Continue the matching unfinished run.")] = False
    no_pictures: Annotated[
        bool, Setting("compute.pictures", "Keep no picture.", read=lambda _: False, flag="--no-pictures")
    ] = False
    profile: Annotated[bool, typer.Option("--profile", help="Tell where an epoch's time goes; keep a trace.")] = False
    tracker: Annotated[
        Texts,
        typer.Option(
            help="Send figures there too, e.g. tensorboard; repeatable.", autocompletion=completion.parts("tracker")
        ),
    ]
    json: AsJson = False


class MemoryOptions(OptionGroup):
    panel = HELP_PANEL
    memory: Annotated[bool, typer.Option("--memory", help="Run nothing; tell the memory and the batch that fits.")] = (
        False
    )


class RunOptions(
    BasicOptions,
    TaskOptions,
    ImageOptions,
    ModelOptions,
    SourceOptions,
    AdaptationOptions,
    PartOptions,
    OutputOptions,
    MemoryOptions,
):
    """All of them."""


DESCRIBED = {name: get_args(one.annotation)[1] for name, one in parameters(RunOptions).items()}
SETTINGS: dict[str, Setting] = {name: one for name, one in DESCRIBED.items() if isinstance(one, Setting)}
"""Where each option goes in the configuration (``--set`` reaches every other key)."""


def given(chosen: OptionGroup) -> dict[str, Any]:
    """Return the chosen settings by option; those that were not given are None."""
    return {name: value for name, value in vars(chosen).items() if name in SETTINGS}
