"""The ``dataset.options`` of loaders: pydantic models, and one message that names everything wrong in them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, Field, ValidationError

from sfda_kit.errors import UserError, did_you_mean
from sfda_kit.interfaces.strict_model import StrictModel
from sfda_kit.plugins.modalities import is_modality, modality_names


def _known(name: str) -> str:
    if not is_modality(name):
        raise ValueError(f"there is no modality of this name; write one of {', '.join(modality_names())}")
    return name


ModalityName = Annotated[str, AfterValidator(_known)]


class DatasetOptions(StrictModel):
    """The base of every loader's options. ``splits``: a YAML file with the user's own splits."""

    splits: Path | None = Field(default=None)


Options = TypeVar("Options", bound=BaseModel)


def parse_options(model: type[Options], options: Mapping[str, Any], dataset: str) -> Options:
    """Return ``options`` as ``model``. Raises ``UserError`` that names each wrong key and value, and the known keys."""
    try:
        return model.model_validate(dict(options))
    except ValidationError as error:
        wrong = "; ".join(_reason(model, problem) for problem in error.errors())
        raise UserError(
            f"dataset.options of {dataset} are not valid: {wrong} Known: {', '.join(model.model_fields)}."
        ) from None


def _reason(model: type[BaseModel], problem: Any) -> str:
    where = ".".join(map(str, problem["loc"]))
    if problem["type"] == "extra_forbidden":
        return f"there is no {where!r}. {did_you_mean(where, model.model_fields)}"
    return f"{where}: {problem['msg']} (got {problem['input']!r})."
