"""The base of all settings that users write."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, model_serializer


class StrictModel(BaseModel):
    """A strict model holds values that cannot be changed, and refuses a key that it does not know.

    ``_later_keys``: keys that were added after the first records were made. They are stored only where they differ from
    their default, so that an older configuration keeps its digest: the same settings stay the same run.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    _later_keys: ClassVar[tuple[str, ...]] = ()

    @model_serializer(mode="wrap")
    def _without_later_defaults(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        data: dict[str, Any] = handler(self)
        defaults = {key: type(self).model_fields[key].get_default() for key in self._later_keys}
        return {key: value for key, value in data.items() if key not in defaults or value != _plain(defaults[key])}


def _plain(default: Any) -> Any:
    return list(default) if isinstance(default, tuple) else default
