"""A real server of the S3 protocol, moto's, in this process: what it holds survives its being stopped."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
from moto.server import ThreadedMotoServer

ACCESS_KEY, SECRET_KEY = "AKIAOFTHETESTS", "the-secret-key-of-the-tests"
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": ACCESS_KEY,
    "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}
"""Of those who use it; `AWS_ENDPOINT_URL` is its address."""


class ObjectStore:
    """The server, which listens on the loopback interface."""

    def __init__(self) -> None:
        self._port = 0
        self._server: ThreadedMotoServer | None = None
        self.start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """At the same port as before."""
        self._server = ThreadedMotoServer("127.0.0.1", self._port, verbose=False)
        self._server.start()
        self._port = self._server.get_host_and_port()[1]

    def stop(self) -> None:
        if self._server is not None:
            self._server.stop()
            self._server = None

    def make_bucket(self, name: str) -> None:
        self._client().create_bucket(Bucket=name)

    def objects(self, bucket: str) -> list[str]:
        """The keys of its objects, without the empty ones that stand for folders."""
        found = self._client().list_objects_v2(Bucket=bucket).get("Contents", [])
        return [one["Key"] for one in found if not one["Key"].endswith("/")]

    def get(self, bucket: str, key: str) -> bytes:
        content: bytes = self._client().get_object(Bucket=bucket, Key=key)["Body"].read()
        return content

    def put(self, bucket: str, key: str, content: bytes) -> None:
        self._client().put_object(Bucket=bucket, Key=key, Body=content)

    def _client(self) -> Any:
        return boto3.client(
            "s3",
            endpoint_url=self.address,
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
            region_name="us-east-1",
        )


@contextmanager
def object_store() -> Iterator[ObjectStore]:
    """An empty server."""
    server = ObjectStore()
    try:
        yield server
    finally:
        server.stop()
        from moto.core import DEFAULT_ACCOUNT_ID
        from moto.s3.models import s3_backends

        s3_backends[DEFAULT_ACCOUNT_ID]["global"].reset()
