"""Partial uploads and the final one that joins them: what clients see."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from urllib.parse import urlsplit

import lab
import pytest
from tusing import CONFIG, DATA, OFFSET_OCTETS, Tus, staged, stored

CUTS = [(0, 1_000_000), (1_000_000, 2_200_000), (2_200_000, len(DATA))]


@pytest.fixture(scope="module")
def service() -> Iterator[lab.Service]:
    with lab.service(CONFIG) as made:
        yield made


@pytest.fixture
def tus(service: lab.Service) -> Tus:
    return Tus(service.url)


def test_partial_uploads_become_the_image(service: lab.Service, tus: Tus) -> None:
    image_id = tus.image()
    assert "concatenation" in tus.call("OPTIONS", f"/v2/images/{image_id}/uploads").headers["Tus-Extension"].split(",")
    urls = tus.partials(image_id, CUTS)
    head = tus.call("HEAD", urls[1])
    assert (
        head.status_code,
        head.headers["Upload-Concat"],
        head.headers["Upload-Offset"],
        head.headers["Upload-Length"],
    ) == (200, "partial", "1200000", "1200000")
    assert [x["concat"] for x in tus.uploads(image_id)] == ["partial"] * 3
    assert tus.client.show(image_id)["status"] == "saving"
    answer = tus.join(image_id, urls, Upload_Metadata="filename ZGlzay5pbWc=")
    assert answer.status_code == 201, answer.text
    final = tus.call("HEAD", answer.headers["Location"])
    assert (final.status_code, final.headers["Upload-Concat"], final.headers["Upload-Metadata"]) == (
        200,
        f"final;{' '.join(urls)}",
        "filename ZGlzay5pbWc=",
    )
    assert final.headers["Upload-Offset"] == final.headers["Upload-Length"] == str(len(DATA))
    assert tus.patch(answer.headers["Location"], len(DATA), b"").status_code == 403
    shown = tus.client.show(image_id)
    assert (shown["status"], shown["os_hash_value"]) == ("active", hashlib.sha512(DATA).hexdigest())
    assert tus.client.download(image_id).content == DATA
    assert [x for x in staged(service) if x.startswith(image_id)] == []
    assert len([x for x in stored(service) if x.startswith(image_id)]) == 1
    assert [x["concat"] for x in tus.uploads(image_id)] == ["final"]
    again = tus.join(image_id, urls)
    assert (again.status_code, again.headers["Location"]) == (201, answer.headers["Location"]), (
        "who has lost the answer asks again"
    )


def test_relative_addresses_and_those_of_a_proxy(tus: Tus) -> None:
    image_id = tus.image()
    urls = tus.partials(image_id, CUTS)
    assert (
        tus.join(
            image_id, [urlsplit(urls[0]).path, f"https://cloud.example/image{urlsplit(urls[1]).path}", urls[2]]
        ).status_code
        == 201
    )
    assert tus.client.download(image_id).content == DATA


def test_a_partial_upload_with_its_first_bytes(tus: Tus) -> None:
    image_id = tus.image()
    answer = tus.call(
        "POST",
        f"/v2/images/{image_id}/uploads",
        DATA[:10],
        Upload_Length="20",
        Upload_Concat="partial",
        Content_Type=OFFSET_OCTETS,
    )
    assert (answer.status_code, answer.headers["Upload-Offset"]) == (201, "10")
    assert tus.join(image_id, [answer.headers["Location"]]).status_code == 409, "it is not complete"
    assert tus.patch(answer.headers["Location"], 10, DATA[10:20]).status_code == 204
    assert tus.join(image_id, [answer.headers["Location"]]).status_code == 201
    assert tus.client.download(image_id).content == DATA[:20]


def test_what_is_refused(tus: Tus) -> None:
    image_id, uploads = tus.image(), ""
    uploads = f"/v2/images/{image_id}/uploads"
    for said in (
        "",
        "whole",
        "final",
        "final;",
        "final; ",
        "PARTIAL",
        "partial;/a",
        "final;/a /b",
        f"final;{uploads}",
        f"final;{uploads}/",
        f"final;{uploads}/none",
        "final;http://[::1/x",
    ):
        answer = tus.client.session.post(
            f"{tus.client.url}{uploads}", headers={"Tus-Resumable": "1.0.0", "Upload-Concat": said}
        )
        assert (answer.status_code, answer.headers["Tus-Resumable"]) == (400, "1.0.0"), (said, answer.text)
    assert tus.call("POST", uploads, Upload_Concat="partial").status_code == 400
    assert tus.call("POST", uploads, Upload_Concat="partial", Upload_Defer_Length="1").status_code == 400
    assert tus.client.show(image_id)["status"] == "queued"
    [url], [other] = tus.partials(image_id, [(0, 10)]), tus.partials(tus.image(), [(0, 10)])
    assert tus.join(image_id, [url], Upload_Length="10").status_code == 400
    assert tus.join(image_id, [url], Upload_Defer_Length="1").status_code == 400
    assert tus.call("POST", uploads, b"x", Upload_Concat=f"final;{url}").status_code == 400
    assert tus.join(image_id, [url, other]).status_code == 400
    assert tus.join(image_id, [url, url]).status_code == 400
    assert Tus(tus.client.url, "strangers").join(image_id, [url]).status_code == 404
    assert tus.create(image_id, 60_000_000, Upload_Concat="partial").status_code == 413, "the quota"
    assert tus.join(image_id, [url]).status_code == 201


def test_given_up(service: lab.Service, tus: Tus) -> None:
    image_id = tus.image()
    urls = tus.partials(image_id, CUTS)
    for url in urls:
        assert tus.client.show(image_id)["status"] == "saving"
        assert tus.call("DELETE", url).status_code == 204
        assert tus.call("HEAD", url).status_code == tus.patch(url, 0, b"x").status_code == 404
    assert tus.client.show(image_id)["status"] == "queued"
    assert [x for x in staged(service) if x.startswith(image_id)] == []
    assert tus.client.upload(image_id, b"in one piece").status_code == 204
