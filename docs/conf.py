# ruff: noqa: INP001 - read by Sphinx
"""The documents as a site: `make site`. The pages are those that lie in the tree, at their own places, so that their
links hold."""

from __future__ import annotations

import re
from pathlib import Path

REPO = Path(__file__).resolve().parent.parent

project = "glancecore"
author = "The glancecore developers"
project_copyright = author
version = release = re.findall(r"^version = (.*)$", (REPO / "setup.cfg").read_text(encoding="utf-8"), re.MULTILINE)[0]

extensions = ["myst_parser"]
root_doc = "docs/index"
include_patterns = ["*.md", "docs/**.md", "docs/**.rst", "drivers/*/README.md", "clients/*/README.md"]
exclude_patterns = ["**/.*", "**/_*"]

myst_heading_anchors = 4
myst_enable_extensions: list[str] = []

html_theme = "furo"
html_title = f"glancecore {release}"
html_copy_source = False
html_show_sourcelink = False
html_permalinks_icon = "#"
# examples have … in them, and answers of servers; they are no programs
highlight_options: dict[str, object] = {}
pygments_style = "friendly"
pygments_dark_style = "monokai"
