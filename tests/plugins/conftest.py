"""What the tests of plugins share: the text of small plugins."""

from __future__ import annotations

from collections.abc import Callable

Installer = Callable[..., None]


def registering(name: str, target: str = "sfda_kit.builtin.aligners:InfoMax", kind: str = "aligner") -> str:
    """The text of a module that declares one part."""
    return (
        f"import sfda_kit\n@sfda_kit.hookimpl\ndef sfda_kit_register_{kind}():\n"
        f"    return [sfda_kit.Component({name!r}, {target!r}, 'a part')]\n"
    )
