"""Options that several commands share, each with one help text."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Config = Annotated[Path | None, typer.Option(help="YAML file with any of the settings below.")]
Dataset = Annotated[str | None, typer.Option(help="rooms, sun-rgbd, paired-folder or a plugin's.")]
DataRoot = Annotated[Path | None, typer.Option(help="Folder of the data set on this disk.")]
Source = Annotated[str | None, typer.Option(help="Source MODALITY@DOMAIN, e.g. rgb@kv1.")]
Target = Annotated[str | None, typer.Option(help="Target MODALITY@DOMAIN, e.g. depth@xtion.")]
TrClasses = Annotated[str | None, typer.Option(help="Task-relevant classes: A,B,...")]
TiClasses = Annotated[str | None, typer.Option(help="Task-irrelevant classes: C,D,...")]
Split = Annotated[str | None, typer.Option(help="Named split of TR and TI classes.")]
SplitSeed = Annotated[int | None, typer.Option(help="Fixes how groups are dealt to parts.")]
GroupPattern = Annotated[str | None, typer.Option(help="Regex over the stem: what never is split.")]
DepthUnit = Annotated[str | None, typer.Option(help="mm, m or sun-rgbd-bits.")]
SkipBad = Annotated[
    bool, typer.Option("--skip-bad", help="Leave unreadable images and held-out copies out, and record which.")
]
Encoding = Annotated[str | None, typer.Option(help="Sensor values to three channels: copy, jet, ...")]
SourceCard = Annotated[
    list[Path] | None, typer.Option(help="Use this source model instead of training; repeatable: several are mixed.")
]
SourceEpochs = Annotated[int | None, typer.Option(help="Epochs of source training.")]
SourceFloor = Annotated[float | None, typer.Option(help="Least source accuracy in percent.")]
Backbone = Annotated[str | None, typer.Option(help="Any timm model.")]
Pretrained = Annotated[bool, typer.Option("--pretrained", help="Start from timm's weights.")]
ImageSize = Annotated[int | None, typer.Option(help="Side of the network's input in pixels.")]
Epochs = Annotated[int | None, typer.Option(help="Epochs of the main adaptation phase.")]
BatchSize = Annotated[int | None, typer.Option(help="Images a step of the adaptation.")]
Select = Annotated[str | None, typer.Option(help="Validator whose best epoch is the result; last: none (default).")]
OnCollapse = Annotated[str | None, typer.Option(help="warn (default), stop or rollback when classes collapse.")]
Seed = Annotated[int | None, typer.Option(help="Fixes everything but the split.")]
BridgeEpochs = Annotated[int | None, typer.Option(help="Epochs of bridge training.")]
Bridge = Annotated[str | None, typer.Option(help="Teacher bridge if the method has one, else input.")]
InputBridge = Annotated[str | None, typer.Option(help="What the adapted network sees.")]
TeacherBridge = Annotated[str | None, typer.Option(help="What the frozen source model sees.")]
Labeler = Annotated[str | None, typer.Option(help="Pseudo-labeler, or none.")]
Aligner = Annotated[list[str] | None, typer.Option(help="NAME=WEIGHT; 0 removes the term.")]
Assignments = Annotated[list[str] | None, typer.Option("--set", help="Any setting: KEY.KEY=VALUE.")]
Device = Annotated[str | None, typer.Option(help="auto, cpu, cuda, mps, ...")]
Tracker = Annotated[list[str] | None, typer.Option(help="Where figures are sent too, e.g. tensorboard; repeatable.")]
RunsDir = Annotated[Path, typer.Option(help="Where run folders are made.")]
Resume = Annotated[bool, typer.Option("--resume", help="Continue the matching unfinished run.")]
AsJson = Annotated[bool, typer.Option("--json", help="Last line of stdout: one JSON object.")]
