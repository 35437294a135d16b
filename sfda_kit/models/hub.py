"""The hub of Hugging Face: files of a repository that are on this disk or can be had, and a quick word where not."""

from __future__ import annotations

from pathlib import Path

from huggingface_hub import constants, get_session, hf_hub_download, try_to_load_from_cache
from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, HFValidationError, RepositoryNotFoundError

from sfda_kit.errors import UserError, brief

FILES = ("model.safetensors", "pytorch_model.bin")
"""The files of a repository that timm takes weights from."""
DESCRIPTION = "config.json"
"""The file of a repository in which timm describes the weights."""
PATIENCE_S = 5
"""Seconds to wait for an answer of the hub. Its own client would try again for more than a minute."""


def has_weights(repository: str, revision: str | None = None) -> bool:
    """Return whether a file of weights of ``repository`` is on this disk."""
    found = (try_to_load_from_cache(repository, file, revision=revision) for file in FILES)
    return any(isinstance(path, str) for path in found)


def unreachable() -> str:
    """Return why the hub cannot be reached, empty where it answers."""
    if constants.HF_HUB_OFFLINE:
        return "HF_HUB_OFFLINE is set"
    try:
        get_session().head(constants.ENDPOINT, timeout=PATIENCE_S)
    except Exception as error:  # The client of the hub is requests or httpx, by its version.
        return str(error).splitlines()[0] if str(error) else type(error).__name__
    return ""


def fetched(repository: str, revision: str | None) -> Path:
    """Return the folder on this disk with the weights of ``repository``, and their description where there is one.

    Raises ``UserError`` where they are not on this disk and the hub does not answer, or where it has none.
    """
    try:
        return _fetched(repository, revision)
    except (RepositoryNotFoundError, HFValidationError):
        raise UserError(
            f"{constants.ENDPOINT} has no repository {repository!r} that may be read here. Check the name, "
            "hf-hub:OWNER/NAME."
        ) from None
    except (HfHubHTTPError, OSError) as error:
        raise UserError(f"The weights of {repository!r} cannot be fetched ({brief(error, quoted=False)}).") from None


def _fetched(repository: str, revision: str | None) -> Path:
    cached = has_weights(repository, revision)
    described = try_to_load_from_cache(repository, DESCRIPTION, revision=revision) is not None
    offline = "" if cached and described else unreachable()
    if offline and not cached:
        raise UserError(
            f"The weights of {repository!r} are not on this disk, and {constants.ENDPOINT} cannot be reached "
            f"({offline}): begin with weights that are here (--backbone-weights NAME or FILE), copy the folder HF_HOME "
            "of a computer that has these, or train from scratch."
        )
    found = (_file(repository, file, revision, fetch=not offline) for file in FILES)
    folder = next(filter(None, found), None)
    if folder is None:
        raise UserError(f"The repository {repository!r} has no weights of timm: expected {' or '.join(FILES)}.")
    _file(repository, DESCRIPTION, revision, fetch=not offline)
    return folder.parent


def _file(repository: str, file: str, revision: str | None, fetch: bool) -> Path | None:
    """Return a file of a repository on this disk, None if there is none; ``fetch``: get it where it is not here."""
    known = try_to_load_from_cache(repository, file, revision=revision)
    if isinstance(known, str):
        return Path(known)
    if known is not None or not fetch:  # it is known that the repository has no such file, or nobody can be asked
        return None
    try:
        return Path(hf_hub_download(repository, file, revision=revision))
    except EntryNotFoundError:
        return None
