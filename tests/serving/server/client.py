"""Servers that run in processes of their own, and clients that are free to misbehave."""

from __future__ import annotations

import base64
import http.client
import io
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from PIL import Image

FIELD = 'name="file"; filename="{name}"'
BOUNDARY = "a-boundary"


@dataclass(frozen=True)
class Reply:
    status: int
    headers: dict[str, str]
    content: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.content)

    @property
    def error(self) -> str:
        """The sentence of a refusal, which is all there is in it."""
        assert set(self.json) == {"error"}
        sentence = self.json["error"]
        assert isinstance(sentence, str)
        assert "Traceback" not in sentence
        return sentence


@dataclass(frozen=True)
class Server:
    process: subprocess.Popen[str]
    url: str
    said: list[str]
    """Lines of standard error."""

    @property
    def address(self) -> tuple[str, int]:
        parts = urlsplit(self.url)
        assert parts.hostname is not None
        assert parts.port is not None
        return parts.hostname, parts.port

    def ask(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> Reply:
        connection = http.client.HTTPConnection(*self.address, timeout=60)
        try:
            connection.request(method, path, body, headers or {})
            return reply_on(connection)
        finally:
            connection.close()

    def get(self, path: str, **headers: str) -> Reply:
        return self.ask(
            "GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()}
        )

    def predict(self, asked: Any, **headers: str) -> Reply:
        body = asked if isinstance(asked, bytes) else json.dumps(asked).encode()
        return self.ask("POST", "/v1/models/model:predict", body, headers)

    def upload(self, *files: tuple[str, bytes], **headers: str) -> Reply:
        kind = {"content-type": f"multipart/form-data; boundary={BOUNDARY}"}
        return self.ask("POST", "/predict", form(*files), kind | headers)

    def send(self, content: bytes) -> Reply:
        """Whatever is sent, to the end of the answer."""
        with socket.create_connection(self.address, timeout=60) as connection:
            connection.sendall(content)
            return read_reply(connection)

    def metric(self, name: str) -> float:
        lines = self.get("/metrics").content.decode().splitlines()
        return sum(
            float(line.rpartition(" ")[2]) for line in lines if line.split("{")[0].split(" ")[0] == name
        )

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait()


def reply_on(connection: http.client.HTTPConnection) -> Reply:
    response = connection.getresponse()
    return Reply(
        response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
    )


def read_reply(connection: socket.socket) -> Reply:
    response = http.client.HTTPResponse(connection)
    response.begin()
    return Reply(
        response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
    )


@contextmanager
def running(*command: str, **environment: str) -> Iterator[Server]:
    """A server that a command starts; at the end it must stop in order, with nothing to complain of."""
    process = subprocess.Popen(
        [sys.executable, *command],
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    said: list[str] = []
    listener = threading.Thread(target=lambda: said.extend(process.stderr or []))
    listener.start()
    try:
        url = process.stdout.readline().strip()
        server = Server(process, url, said)
        assert url.startswith("http://"), (process.wait(60), said)
        yield server
        if process.poll() is None:
            server.stop()
        listener.join(60)
        assert process.returncode == 0, said
        assert not [line for line in said if "Traceback" in line or "Error" in line], said
    finally:
        process.kill()
        process.wait()
        listener.join(60)
        process.stdout.close()
        assert process.stderr is not None
        process.stderr.close()


def form(*files: tuple[str, bytes], field: str = FIELD) -> bytes:
    parts = [
        f"--{BOUNDARY}\r\nContent-Disposition: form-data; {field.format(name=name)}\r\n\r\n".encode()
        + content
        + b"\r\n"
        for name, content in files
    ]
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


def in_base64(content: bytes) -> dict[str, str]:
    return {"b64": base64.b64encode(content).decode()}


def png(pixels: np.ndarray[Any, Any]) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "png")
    return stream.getvalue()


def noisy(seed: int, size: tuple[int, int] = (24, 30)) -> np.ndarray[Any, Any]:
    """A picture uint8 (H, W, 3) in whose colours chance has its say."""
    rng = np.random.default_rng(seed)
    return (rng.uniform(0, 1, 3) * rng.integers(100, 256, (*size, 3))).astype(np.uint8)
