"""How fast against boto3's transfer manager, and in how much memory? Not a test: prints a table.

    python speed.py [MIB]      (default 1024) on tests/backends/rgw-up.sh and swift-up.sh; PYTHONPATH=tests

Each transfer is a process of its own, start included, on both sides, with parts of 10 MB and 10 threads. The best of
three."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

import boto3
import lab
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from glancecore_store_s3.driver import S3Store

from glancecore.testing.settings import make_section

BUCKET = "speed"


def service(name: str) -> tuple[str, str, str]:
    backend = lab.backend(name)
    if name == "rgw":
        return backend.url, backend.settings["S3_ACCESS_KEY"], backend.settings["S3_SECRET_KEY"]
    return backend.settings["S3_ENDPOINT"], backend.settings["SWIFT_USER"], backend.settings["SWIFT_KEY"]


def driver(name: str, order: str, file: str, mib: int) -> None:
    """What the measured process does."""
    host, access, secret = service(name)
    store = S3Store(
        "speed",
        make_section(
            S3Store.options,
            s3_store_host=host,
            s3_store_access_key=access,
            s3_store_secret_key=secret,
            s3_store_bucket=BUCKET,
            s3_store_bucket_url_format="path",
            s3_store_create_bucket_on_put=True,
        ),
    )
    store.start()
    if order == "put":
        with Path(file).open("rb", buffering=0) as source:
            store.put("image", iter(lambda: source.read(1 << 20), b""), mib << 20)
    elif order == "open":
        assert sum(map(len, store.open(f"s3://{host.partition('://')[2]}/{BUCKET}/image"))) == mib << 20
    elif order == "discard":
        store.discard("image")
    store.close()


def manager(name: str, order: str, file: str) -> None:
    host, access, secret = service(name)
    client = boto3.client(
        "s3",
        endpoint_url=host,
        aws_access_key_id=access,
        aws_secret_access_key=secret,
        region_name="us-east-1",
        config=Config(
            s3={"addressing_style": "path"},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            max_pool_connections=12,
        ),
    )
    transfer = TransferConfig(multipart_threshold=100 << 20, multipart_chunksize=10 << 20, max_concurrency=10)
    if order == "put":
        client.upload_file(file, BUCKET, "image", Config=transfer)
    else:
        with Path("/dev/null").open("wb") as sink:  # a stream, as the driver gives it
            sink.writelines(client.get_object(Bucket=BUCKET, Key="image")["Body"].iter_chunks(1 << 20))


def run(*command: str) -> tuple[float, float]:
    """Seconds, and the highest resident memory in MiB."""
    began = time.monotonic()
    process = os.posix_spawn(command[0], command, os.environ)
    _, status, usage = os.wait4(process, 0)
    assert status == 0, command
    return time.monotonic() - began, usage.ru_maxrss / 1024


def main(mib: int) -> None:
    with tempfile.NamedTemporaryFile(dir=lab.LAB) as file:
        piece = os.urandom(1 << 20)
        for _ in range(mib):
            file.write(piece)
        file.flush()
        me = [sys.executable, __file__]
        for name in ("rgw", "swift"):
            print(f"{name}: nothing special: {run(*me, 'driver', name, 'start', file.name, str(mib))[1]:.0f} MiB")
            print(f"{mib} MiB   boto3        driver   ratio   memory: boto3's  driver's")
            seconds, memory = {}, {}
            for _ in range(3):
                for who in ("manager", "driver"):
                    for order in ("put", "open"):
                        took, memory[who, order] = run(*me, who, name, order, file.name, str(mib))
                        seconds[who, order] = min(seconds.get((who, order), 1e9), took)
                    run(*me, "driver", name, "discard", file.name, str(mib))
            for order in ("put", "open"):
                theirs, ours = seconds["manager", order], seconds["driver", order]
                print(
                    f"{order:5} {mib / theirs:6.0f} MiB/s  {mib / ours:6.0f}   {theirs / ours:5.2f}   "
                    f"{memory['manager', order]:11.0f} MiB  {memory['driver', order]:.0f} MiB"
                )


if __name__ == "__main__":
    if sys.argv[1:2] == ["driver"]:
        driver(sys.argv[2], sys.argv[3], sys.argv[4], int(sys.argv[5]))
    elif sys.argv[1:2] == ["manager"]:
        manager(sys.argv[2], sys.argv[3], sys.argv[4])
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 1024)
