"""The bases of all settings that users write."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, model_serializer


class StrictModel(BaseModel):
    """A strict model holds values that cannot be changed, and refuses a key that it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class DigestStableModel(StrictModel):
    """A digest-stable model has keys that were added after the first records were made: ``_later_keys``.

    They are stored only where they differ from their default, so that an older configuration keeps its digest: the same
    settings stay the same run.
    """

    _later_keys: ClassVar[tuple[str, ...]] = ()

    @model_serializer(mode="wrap")
    def _without_later_defaults(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        data: dict[str, Any] = handler(self)
        fields = type(self).model_fields
        return {k: v for k, v in data.items() if k not in self._later_keys or not _equal(v, fields[k].get_default())}


def _equal(stored: Any, default: Any) -> bool:
    """Return whether a stored value is the default; JSON has lists for tuples."""
    return bool(stored == (list(default) if isinstance(stored, list) and isinstance(default, tuple) else default))
