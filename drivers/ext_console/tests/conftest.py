"""The helpers of the end-to-end tests, and of these, can be imported. A console that is built, for those tests that
want pages."""

from __future__ import annotations

import gzip
import sys
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[3] / "tests" / "e2e")]


@pytest.fixture
def static(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """In place of what was built: an index and three assets, one of them in two codings."""
    from glancecore_ext_console import pages

    folder = tmp_path / "static"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text(
        '<!doctype html><script type="module" src="/console/assets/app-1a2b.js"></script>'
    )
    (folder / "favicon.svg").write_text("<svg/>")
    (folder / "assets" / "app-1a2b.js").write_text("let it = 1;")
    (folder / "assets" / "app-1a2b.js.gz").write_bytes(gzip.compress(b"let it = 1;"))
    (folder / "assets" / "app-1a2b.js.br").write_bytes(b"as if by brotli")
    (folder / "assets" / "app-1a2b.css").write_text("b { color: red }")
    (folder / "assets" / "app-1a2b.bin").write_bytes(b"\0\1")
    (tmp_path / "secret.txt").write_text("not of the console")
    monkeypatch.setattr(pages, "STATIC", folder)
    return folder
