"""kill -9 at the steps of an upload whose parts an S3 service takes: nothing that was acknowledged is lost, and nothing is left."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import lab
import pytest
from botocore.config import Config
from client import BROKEN_OFF
from tusing import CONFIG, Tus, usage
from waiting import until

from glancecore.sdk.checkpoints import SESSION_REST_STEPS, VARIABLE

MIB = 1 << 20
DATA = os.urandom(19 * MIB + 7)
#: A part of its own, bytes that wait, a part of these and others, and the rest.
CUTS = [0, 9 * MIB, 10 * MIB, 18 * MIB, len(DATA)]
STEPS = ("session.part_stored*1", "session.part_stored*3", "session.part_noted*3", "session.commit_begun", *SESSION_REST_STEPS, "session.completed",
         "session.after_finish")


class Bucket:
    def __init__(self) -> None:
        gateway = lab.backend("rgw")
        access, secret = gateway.settings["S3_ACCESS_KEY"], gateway.settings["S3_SECRET_KEY"]
        self.name = f"tus-{os.urandom(4).hex()}"
        self.client: Any = boto3.client("s3", endpoint_url=gateway.url, aws_access_key_id=access, aws_secret_access_key=secret, region_name="us-east-1",
                                        config=Config(s3={"addressing_style": "path"}))
        self.client.create_bucket(Bucket=self.name)
        self.options = {"s3_store_host": gateway.url, "s3_store_access_key": access, "s3_store_secret_key": secret, "s3_store_bucket": self.name,
                        "s3_store_bucket_url_format": "path"}

    def names(self) -> list[str]:
        """Of objects, and of uploads that are not complete."""
        objects = self.client.list_objects_v2(Bucket=self.name).get("Contents", ())
        uploads = self.client.list_multipart_uploads(Bucket=self.name).get("Uploads", ())
        return sorted(x["Key"] for x in [*objects, *uploads] if x["Key"] != ".glance-store")


@pytest.fixture(scope="module")
def bucket() -> Iterator[Bucket]:
    made = Bucket()
    yield made
    made.client.delete_object(Bucket=made.name, Key=".glance-store")
    made.client.delete_bucket(Bucket=made.name)


@pytest.fixture(scope="module")
def stopped(bucket: Bucket, tmp_path_factory: pytest.TempPathFactory) -> Iterator[lab.Service]:
    config: lab.Config = {"os_glance_staging_store": {"filesystem_store_datadir": tmp_path_factory.mktemp("staging")},
                          "DEFAULT": {"workers": 1, "enabled_backends": "file:file,s3:s3"}, "glance_store": {"default_backend": "s3"}, "s3": bucket.options}
    with lab.service(lab.merged(CONFIG, config), start=False) as made:
        yield made


@pytest.fixture
def service(stopped: lab.Service) -> Iterator[lab.Service]:
    yield stopped
    stopped.stop(signal.SIGKILL)


@pytest.mark.parametrize("step", STEPS)
def test_killed_at(service: lab.Service, bucket: Bucket, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    monkeypatch.setenv(VARIABLE, step)
    service.start()
    tus, acknowledged = Tus(service.url), 0
    image_id = tus.image()
    url = str(tus.create(image_id, len(DATA)).headers["Location"])
    path = url.removeprefix(service.url)
    with contextlib.suppress(*BROKEN_OFF):
        for first, end in itertools.pairwise(CUTS):
            if tus.patch(url, first, DATA[first:end]).status_code == 204:
                acknowledged = end
    service.until_killed()
    service.stop(signal.SIGKILL)
    monkeypatch.delenv(VARIABLE)
    service.start()
    tus = Tus(service.url)
    offset = tus.offset(f"{service.url}{path}")
    assert offset >= acknowledged
    while offset < len(DATA):
        end = next(x for x in CUTS if x > offset)
        assert tus.patch(f"{service.url}{path}", offset, DATA[offset:end]).status_code == 204
        offset = end
    until(lambda: tus.client.show(image_id)["status"] == "active", lambda: f"{tus.client.show(image_id)}\n{service.tail()}")
    assert tus.client.download(image_id).content == DATA
    until(lambda: usage(service) == (len(DATA), 0, 0), lambda: str(usage(service)))
    until(lambda: bucket.names() == [image_id] and waiting(service, image_id) == [], lambda: str((bucket.names(), waiting(service, image_id))))
    assert tus.client.delete(image_id).status_code == 204
    until(lambda: bucket.names() == [])


def waiting(service: lab.Service, image_id: str) -> list[str]:
    """In the staging store."""
    folder = Path(str(service.config["os_glance_staging_store"]["filesystem_store_datadir"]))
    return sorted(x.name for x in folder.iterdir() if x.name.startswith(image_id))


def test_given_up(service: lab.Service, bucket: Bucket) -> None:
    service.start()
    tus = Tus(service.url)
    url = tus.begun(len(DATA))
    for first, end in itertools.pairwise(CUTS[:3]):
        assert tus.patch(url, first, DATA[first:end]).status_code == 204
    assert bucket.names() != []
    assert tus.call("DELETE", url).status_code == 204
    assert bucket.names() == []
