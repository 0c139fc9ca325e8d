"""Two real S3 services to test with, each by a server process of our own that can be killed: Ceph's gateway, and Swift
with its S3 interface."""

import os
import re
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

import boto3
import lab
from botocore.config import Config
from botocore.exceptions import ClientError


class Server:
    """``start`` and ``kill`` may be called twice."""

    name = ""

    def __init__(self, folder):
        self.folder = folder
        self.port = lab.free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process = None

    def command(self):
        raise NotImplementedError

    def start(self):
        if self.process is not None:
            return
        log = self.folder / f"{self.name}.log"
        with log.open("ab") as out:
            self.process = subprocess.Popen(
                self.command(), stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=self.env()
            )
        deadline = time.monotonic() + 60
        while not self.answers():
            assert time.monotonic() < deadline, log.read_text()[-2000:]
            assert self.process.poll() is None, log.read_text()[-2000:]
            time.sleep(0.05)

    def answers(self):
        try:
            urllib.request.urlopen(self.url, timeout=5).close()
        except urllib.error.HTTPError as exc:
            exc.close()
        except OSError:
            return False
        return True

    def kill(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def options(self, **more):
        """How a store reaches it."""
        return {
            "s3_store_host": self.url,
            "s3_store_access_key": self.access,
            "s3_store_secret_key": self.secret,
            "s3_store_bucket_url_format": "path",
            "s3_store_create_bucket_on_put": True,
            "s3_store_timeout": 20,
            **more,
        }

    def client(self):
        """Of the backend's own server, which stays up."""
        return boto3.client(
            "s3",
            endpoint_url=self.behind,
            aws_access_key_id=self.access,
            aws_secret_access_key=self.secret,
            region_name="us-east-1",
            config=Config(
                s3={"addressing_style": "path"},
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            ),
        )


class Gateway(Server):
    """Ceph's."""

    name = "rgw"

    def __init__(self, folder):
        super().__init__(folder)
        backend = lab.backend("rgw")
        self.settings, self.behind = backend.settings, backend.url
        self.access, self.secret = self.settings["S3_ACCESS_KEY"], self.settings["S3_SECRET_KEY"]

    def command(self):
        return [
            "radosgw",
            "-n",
            self.settings["RGW_NAME"],
            "-f",
            "--rgw-frontends",
            f"beast endpoint=127.0.0.1:{self.port}",
            "--rgw-data",
            self.folder,
            "--admin-socket",
            "",
            "--log-file",
            self.folder / "radosgw.log",
            "--rgw-thread-pool-size",
            "32",
        ]

    def env(self):
        return {**os.environ, "CEPH_CONF": self.settings["RGW_CONF"]}


class Swift(Server):
    name = "s3api"
    #: Buckets are also hosts of this domain, which no name server knows.
    domain = "s3.test"

    def __init__(self, folder):
        super().__init__(folder)
        backend = lab.backend("swift")
        self.settings, self.behind = backend.settings, backend.settings["S3_ENDPOINT"]
        self.access, self.secret = self.settings["SWIFT_USER"], self.settings["SWIFT_KEY"]
        self.conf = folder / "proxy-server.conf"
        text = Path(self.settings["SWIFT_PROXY_CONF"]).read_text()
        text = re.sub(r"(?m)^bind_port = .*$", f"bind_port = {self.port}", text, count=1)
        self.conf.write_text(
            text.replace("use = egg:swift#s3api\n", f"use = egg:swift#s3api\nstorage_domain = {self.domain}\n")
        )

    def command(self):
        return [self.settings["SWIFT_PROXY"], self.conf]

    def env(self):
        return {**os.environ, "EVENTLET_NO_GREENDNS": "yes", "PYTHONWARNINGS": "ignore"}


class Room:
    """One bucket, and all that lies in it: objects, and parts of unfinished uploads."""

    def __init__(self, client, bucket):
        self.client, self.bucket = client, bucket

    def pages(self, call, what):
        try:
            for page in self.client.get_paginator(call).paginate(Bucket=self.bucket):
                yield from page.get(what, ())
        except ClientError as exc:
            if exc.response["Error"]["Code"] != "NoSuchBucket":
                raise

    def names(self):
        return {each["Key"] for each in self.pages("list_objects_v2", "Contents")} | {
            f"{each['Key']} unfinished {each['UploadId']}" for each in self.pages("list_multipart_uploads", "Uploads")
        }

    def remove(self):
        for each in self.pages("list_multipart_uploads", "Uploads"):
            self.client.abort_multipart_upload(Bucket=self.bucket, Key=each["Key"], UploadId=each["UploadId"])
        for each in self.pages("list_objects_v2", "Contents"):
            self.client.delete_object(Bucket=self.bucket, Key=each["Key"])
        try:
            self.client.delete_bucket(Bucket=self.bucket)
        except ClientError as exc:
            if exc.response["Error"]["Code"] != "NoSuchBucket":
                raise
