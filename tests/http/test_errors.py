"""Errors as clients get them."""

from __future__ import annotations

import pytest

from glancecore.http.errors import render


@pytest.mark.parametrize("accept", [None, "", "application/json", "text/html", "*/*"])
def test_apostrophes_stay_as_they_are(accept: str | None) -> None:
    """The stock clients show the page's text as it is."""
    assert "image 'a' can't be \"deleted\"" in render(
        409, "conflict", "image 'a' can't be \"deleted\"", accept
    ).get_data(as_text=True).replace('\\"', '"')


def test_a_message_brings_no_html() -> None:
    page = render(400, "invalid", "<script>alert('a & b')</script>", "*/*").get_data(as_text=True)
    assert "&lt;script&gt;alert('a &amp; b')&lt;/script&gt;" in page
    assert "<script" not in page
