"""What MkDocs does with a page beyond Markdown.

Pages are written for two readers, GitHub and the site. So links are relative to the file in the repository, and files
outside ``docs`` are linked as they lie there. On the site such a link leads to the page made of that file, or to the
repository. Equations are fenced as ``math``, which GitHub draws; here they become MathML, which needs no script.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from latex2mathml.converter import convert
from mkdocs.structure.files import File

from docs._site.notebook import notebook_files

ROOT = Path(__file__).parents[2]
BRANCH = "https://github.com/sfda-kit/sfda-kit/blob/main"
OUTSIDE = {
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "reporting.md",
    "benchmarks/README.md": "numbers.md",
    "benchmarks/results/studies/README.md": "studies.md",
    **{
        f"plugins/{path.parent.name}/README.md": f"packages/{path.parent.name}.md"
        for path in ROOT.glob("plugins/*/README.md")
    },
}
"""Pages of the repository outside ``docs``, and where they stand on the site."""

NOTEBOOK = {"docs/tutorial.ipynb": "tutorial.md"}

WIDE = {"deviations.md"}
"""Pages whose table needs the room of the table of contents."""

LINK = re.compile(r"(\]\()([^)\s#:]+)((?:#[^)\s]*)?\))")
MATH = re.compile(r"^```math\n(.*?)^```$", re.DOTALL | re.MULTILINE)
MARK = re.compile(r"<!-- (?:generated: .+?|end) -->")


def on_files(files: Any, config: Any) -> Any:
    """Add the pages that lie outside ``docs``."""
    for path, page in OUTSIDE.items():
        files.append(File.generated(config, page, content=(ROOT / path).read_text()))
    files.remove(files.get_file_from_path("tutorial.ipynb"))
    for file in notebook_files(ROOT / "docs" / "tutorial.ipynb", NOTEBOOK["docs/tutorial.ipynb"], config):
        files.append(file)
    return files


def on_page_markdown(markdown: str, page: Any, files: Any, **_: Any) -> str:
    """Return the page with links for the site, and with its equations drawn."""
    at = page.file.src_uri
    path = next((path for path, uri in OUTSIDE.items() if uri == at), f"docs/{at}")
    page.meta["hide"] = ["toc"] if at in WIDE else []
    linked = LINK.sub(lambda found: found[1] + site_link(found[2], path, at, files) + found[3], markdown)
    return MATH.sub(lambda found: drawn(found[1]), MARK.sub("", linked))


def drawn(equation: str) -> str:
    """Return LaTeX as MathML in a box that the keyboard can scroll. The converter leaves no space around log."""
    spaced = equation.replace(r"\log", r"\,\log\,")
    return f'<div class="math" tabindex="0">{convert(spaced, display="block")}</div>'


def on_page_content(html: str, **_: Any) -> str:
    """Return a page without the second colon with which docstrings announce code."""
    return html.replace("::</p>", ":</p>")


def on_post_page(output: str, **_: Any) -> str:
    """Return a page in which the parts of the theme have names for screen readers."""
    return named(output)


def on_post_template(output: str, template_name: str, **_: Any) -> str:
    """Do the same with the page for addresses that lead nowhere."""
    return named(output) if template_name == "404.html" else output


def named(output: str) -> str:
    """Return HTML in which the search and its switch have names."""
    for part, name in (
        ('data-md-component="search" role="dialog"', "Search"),
        ('data-md-toggle="search"', "Open the search"),
    ):
        output = output.replace(part, f'{part} aria-label="{name}"')
    return output


def site_link(link: str, path: str, at: str, files: Any) -> str:
    """Return ``link`` of the file ``path`` as the page ``at`` has to say it. One that leads nowhere stays as it is."""
    target = os.path.normpath(Path(path).parent / link).replace(os.sep, "/")
    if not (ROOT / target).exists():
        return link
    page = (OUTSIDE | NOTEBOOK).get(target) or target.removeprefix("docs/")
    if (target.startswith("docs/") or target in OUTSIDE) and files.get_file_from_path(page):
        return os.path.relpath(page, Path(at).parent).replace(os.sep, "/")
    return f"{BRANCH}/{target}"
