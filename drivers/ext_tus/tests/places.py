"""Stores of a service that takes parts, as its administrator sees them."""

from __future__ import annotations

import os
import subprocess
from typing import Any, Protocol

import boto3
import lab
from botocore.config import Config


class Place(Protocol):
    driver: str
    #: Of the store's section.
    options: dict[str, object]

    def names(self) -> list[str]:
        """Of images, and of what is not complete."""

    def close(self) -> None: ...


class Bucket:
    driver = "s3"

    def __init__(self) -> None:
        gateway = lab.backend("rgw")
        access, secret = gateway.settings["S3_ACCESS_KEY"], gateway.settings["S3_SECRET_KEY"]
        self.name = f"tus-{os.urandom(4).hex()}"
        self.client: Any = boto3.client(
            "s3",
            endpoint_url=gateway.url,
            aws_access_key_id=access,
            aws_secret_access_key=secret,
            region_name="us-east-1",
            config=Config(s3={"addressing_style": "path"}),
        )
        self.client.create_bucket(Bucket=self.name)
        self.options: dict[str, object] = {
            "s3_store_host": gateway.url,
            "s3_store_access_key": access,
            "s3_store_secret_key": secret,
            "s3_store_bucket": self.name,
            "s3_store_bucket_url_format": "path",
        }

    def names(self) -> list[str]:
        objects = self.client.list_objects_v2(Bucket=self.name).get("Contents", ())
        uploads = self.client.list_multipart_uploads(Bucket=self.name).get("Uploads", ())
        return sorted(x["Key"] for x in [*objects, *uploads] if x["Key"] != ".glance-store")

    def close(self) -> None:
        self.client.delete_object(Bucket=self.name, Key=".glance-store")
        self.client.delete_bucket(Bucket=self.name)


class Pool:
    driver = "rbd"

    def __init__(self) -> None:
        lab.ceph_bindings()
        self.ceph = lab.backend("ceph").settings
        self.options: dict[str, object] = {
            "rbd_store_ceph_conf": self.ceph["CEPH_CONF"],
            "rbd_store_user": self.ceph["CEPH_USER"],
            "rbd_store_pool": self.ceph["CEPH_POOL"],
        }
        self._before = set(self._all())

    def _all(self) -> list[str]:
        return subprocess.run(
            ["rbd", "--pool", self.ceph["CEPH_POOL"], "ls"],
            env={**os.environ, "CEPH_CONF": self.ceph["CEPH_CONF"]},
            check=True,
            text=True,
            capture_output=True,
        ).stdout.split()

    def names(self) -> list[str]:
        return sorted(set(self._all()) - self._before)

    def close(self) -> None:
        """Nothing of it is ours."""


PLACES: dict[str, type[Bucket | Pool]] = {"s3": Bucket, "rbd": Pool}
