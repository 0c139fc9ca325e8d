"""The store kit, on two real S3 services."""

import pytest
from botocore.exceptions import ClientError
from glancecore_store_s3.driver import S3Store

from glancecore.testing.store import Backdoor, Reach, StoreConformance, make_store


class BucketBackdoor(Backdoor):
    """Asks another server, with another client."""

    def __init__(self, server, room):
        self.server, self.room = server, room

    def read(self, url):
        try:
            return self.room.client.get_object(Bucket=self.room.bucket, Key=url.rpartition("/")[2])["Body"].read()
        except ClientError as exc:
            if exc.response["Error"]["Code"] == "NoSuchKey":
                return None
            raise

    def names(self):
        return self.room.names()

    def cut(self, url, size):
        self.room.client.put_object(Bucket=self.room.bucket, Key=url.rpartition("/")[2], Body=self.read(url)[:size])

    def break_(self):
        self.server.kill()

    def mend(self):
        self.server.start()


class OnS3(StoreConformance):
    reach = frozenset(Reach)
    # beyond 5 MiB in parts of 5 MiB, the least that S3 has
    big = (12 << 20) + 7
    settings = {"s3_store_large_object_size": 1, "s3_store_large_object_chunk_size": 5, "s3_store_thread_pools": 4}
    threads, rounds, examples, steps, repeats, pool = 8, 2, 5, 20, 10, 8
    huge = 128 << 20

    @pytest.fixture
    def server(self):
        pytest.fail("which server?")

    @pytest.fixture
    def store(self, server, bucket):
        return make_store(S3Store, s3_store_bucket=bucket, **server.options(**self.settings))

    @pytest.fixture
    def neighbour(self, server, bucket):
        return make_store(S3Store, "other", s3_store_bucket=f"{bucket}-other", **server.options(**self.settings))

    @pytest.fixture
    def backdoor(self, server, room):
        return BucketBackdoor(server, room)


class TestCephGateway(OnS3):
    @pytest.fixture
    def server(self, gateway):
        return gateway


class TestSwift(OnS3):
    """The options as they come: up to 100 MB of known size in one request. A server that is away is so by the same
    client."""

    reach = frozenset(Reach) - {Reach.BREAK}
    settings = {}

    @pytest.fixture
    def server(self, swift):
        return swift
