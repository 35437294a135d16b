"""Data sets and modalities that break their contract."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from sfda_kit import DataError, DatasetConfig, ImageFiles, Index, Modality, Split
from sfda_kit.testing import DatasetConformance, ModalityConformance

from ..shots import Shots, write_shots
from .broken import Broken, broken

OPENED = count()


class HasSonar(Shots):
    modalities = ("rgb", "depth", "sonar")


class NamesTwice(Shots):
    def index(self) -> Index:
        return replace(super().index(), names=[self.stems[0]] * len(self.stems))


class NeverInOneOrder(Shots):
    def __init__(self, config: DatasetConfig) -> None:
        super().__init__(config)
        self.stems = self.stems[:: 1 - 2 * (next(OPENED) % 2)]


class LooksWhenItOpens(Shots):
    def index(self) -> Index:
        self.peek(np.array([0]), "rgb", 8)
        return super().index()


class SaysNothing(Shots):
    def index(self) -> Index:
        return replace(super().index(), notices=("",))


class OneRoom(Shots):
    def group_name(self, row: int) -> str:
        return "room"


class WrongSplit(Shots):
    def splits(self) -> Mapping[str, Split]:
        return {"default": Split(("cup", "fork"), ("pan",))}


class InMetres(Shots):
    def read(self, rows: Any, modality: str, size: int) -> Any:
        pixels = super().read(rows, modality, size)
        return (pixels / 1000).astype(np.uint16) if modality == "depth" else pixels


class InOneOrder(Shots):
    def read(self, rows: Any, modality: str, size: int) -> Any:
        return super().read(np.sort(rows), modality, size)


class PeeksElsewhere(Shots):
    def peek(self, rows: Any, modality: str, size: int) -> Any:
        return self.read(rows, modality, size) + 1


class NeverTheSame(Shots):
    def fingerprint(self) -> str:
        return f"{next(OPENED):016x}"


class AlwaysTheSame(Shots):
    def fingerprint(self) -> str:
        return "0" * 16


class FilesInOneOrder(Shots):
    def image_files(self, rows: Any, modality: str) -> ImageFiles | None:
        return super().image_files(np.sort(rows), modality)


class HidesDamage(Shots):
    def read(self, rows: Any, modality: str, size: int) -> Any:
        try:
            return super().read(rows, modality, size)
        except DataError:
            return np.zeros((len(rows), size, size), np.uint16)


class EmptyWithoutRoot(Shots):
    def __init__(self, config: DatasetConfig) -> None:
        self.config, self.root = config, config.root or Path()
        self.stems = sorted(path.stem for path in self.root.glob("rgb/*"))


class TellsHalf(Shots):
    def read(self, rows: Any, modality: str, size: int) -> Any:
        if self.progress:
            self.progress("reading", len(rows))  # type: ignore[call-arg]
        return super().read(rows, modality, size)


def dataset(kind: type[Shots], check: str, says: str) -> Broken:
    def make(self: object, folder: Path) -> Path:
        return write_shots(folder)

    return broken(DatasetConformance, kind, check, says, make=make)


def doubled(stored: Any, unit: str) -> Any:
    return stored.astype(np.float64) * 2


def far_off(stored: Any, unit: str) -> Any:
    return np.full(stored.shape, 1000, np.float32)


def overwritten(stored: Any, unit: str) -> Any:
    stored[:] = stored // 2
    return stored


SOUND = Modality("sound", unit="decibels", valid=(-40, 10))
MODALITIES: dict[str, Modality] = {
    "has_the_name_of_its_declaration": SOUND,
    "ranges_fit_each_other": replace(SOUND, usual=(-60, 0)),
    "encodings_exist": replace(SOUND, encoding="hha"),
    "colours_are_known": replace(SOUND, colours="noise"),
    "files_of_each_unit_become_pixels": replace(SOUND, decode=doubled),
    "values_stay_in_the_valid_range": replace(SOUND, decode=far_off),
    "decoding_leaves_what_it_gets": replace(SOUND, decode=overwritten),
    "a_network_can_take_it": replace(SOUND, encoding="hha"),
}
SAYS = {
    "has_the_name_of_its_declaration": "is called 'sound' and declared as 'broken'",
    "ranges_fit_each_other": r"usual is \(-60, 0\); expected low < high within valid \(-40, 10\)",
    "encodings_exist": r"'hha' of unit 'full-scale' takes \('depth',\), not 'sound'",
    "colours_are_known": "colours is 'noise'; expected a colour map",
    "files_of_each_unit_become_pixels": r"becomes float64 \(16, 16\); expected uint8 or uint16 or float32",
    "values_stay_in_the_valid_range": "becomes 1000 to 1000 decibels; expected -40 to 10",
    "decoding_leaves_what_it_gets": "the same values give other pixels|decode wrote into the array",
    "a_network_can_take_it": "it raised UserError",
}


def sound(check: str) -> Broken:
    return broken(ModalityConformance, Modality, check, SAYS[check], part=lambda self: MODALITIES[check])


BROKEN = [
    dataset(HasSonar, "says_what_it_holds", r"modalities \['sonar'\] are not installed"),
    dataset(NamesTwice, "index_agrees_with_itself", "whose names have 'cup0' 6 times; expected each once"),
    dataset(NeverInOneOrder, "index_is_the_same_each_time", "names of the index differs when"),
    dataset(LooksWhenItOpens, "index_reads_no_pixels", "reads pixels; leave that to read"),
    dataset(SaysNothing, "notices_are_sentences", "the notices of the index hold ''; expected a line of text"),
    dataset(OneRoom, "groups_have_names", "group_name.. has 1 names for 6 groups"),
    dataset(WrongSplit, "splits_name_classes_of_the_index", "the default split has TR classes .'cup', 'fork'"),
    dataset(InMetres, "reads_pixels_of_each_modality", "depth pixels of at most 2 .*; expected millimetres"),
    dataset(InOneOrder, "rows_read_alone_are_the_same", "gives other rgb pixels for rows"),
    dataset(PeeksElsewhere, "peek_shows_the_same_pixels", "peek.. returns other rgb pixels than read"),
    dataset(NeverTheSame, "fingerprint_is_stable", "fingerprint.. differs when the data set is opened again"),
    dataset(
        AlwaysTheSame, "fingerprint_changes_with_the_files", "stays when the rgb file rgb/cup0.png has another size"
    ),
    dataset(FilesInOneOrder, "image_files_are_those_of_the_rows", "does not follow the order of the rows"),
    dataset(HidesDamage, "a_bad_file_is_a_data_error", "rgb/cup0.png, which is damaged; expected a DataError"),
    dataset(EmptyWithoutRoot, "a_root_that_is_not_there_is_a_data_error", "was accepted; expected a DataError"),
    dataset(EmptyWithoutRoot, "unknown_option_is_a_user_error", "'no_such_option' was accepted; expected a UserError"),
    dataset(TellsHalf, "tells_its_progress", "progress was called with .'reading', 6.; expected .what, done, total"),
    *map(sound, MODALITIES),
]
