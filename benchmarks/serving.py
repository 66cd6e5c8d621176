"""`harness serve` beside `mlflow models serve`, on the same model, asked by many clients at once.

    python -m benchmarks.serving path/to/bundle --clients 200 --seconds 10 --repeats 3

Every client keeps its connection, sends one image as pixels (`{"instances": [pixels]}`, which both take),
waits for the answer, and sends the next. The servers take turns, each started anew; what happens in the
first seconds does not count. A third arm is `harness serve` with hostile clients among the others: empty
bodies, what claims to be a gigabyte, what is no image, a decompression bomb, a cut-off JPEG, wrong JSON, slow
senders. Each of them must get the status that its fault has, and all others right answers.

Of every run: answers a second, median and 99th percentile of the time to an answer, answers that were wrong,
and the memory of the server's processes when the clients begin to be counted and when they have ended. With
the servers on the same machine, the clients take a part of its processors from both alike.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import io
import json
import os
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from benchmarks.runs import in_turns
from benchmarks.tables import publish, table
from harness.serving.bundle import OpenBundle, open_bundle
from harness.tracking.model_folder import write_model_folder
from harness.tracking.registered import KerasModel

HARNESS, MLFLOW, HOSTILE = "harness serve", "mlflow models serve", "harness serve, hostile clients too"
ARMS = (HARNESS, MLFLOW, HOSTILE)
START_SECONDS = 600.0
WARM_UP_SECONDS = 3.0
HOSTILE_SHARE = 0.1
SLOW_SECONDS = 25.0
"""A server that waits longer than that for a body is not patient but defenceless."""
MEBIBYTE = 1 << 20


@dataclass
class Tally:
    """What clients have seen."""

    counting: bool = False
    seconds: list[float] = field(default_factory=list)
    """Of each right answer, from the request's first byte."""
    wrong: dict[str, int] = field(default_factory=dict)
    hostile: dict[str, int] = field(default_factory=dict)
    """Hostile requests that got what they should, by kind."""

    def note(self, what: dict[str, int], key: str) -> None:
        what[key] = what.get(key, 0) + 1


@dataclass(frozen=True)
class Attack:
    """A request that must be refused."""

    name: str
    content: bytes
    status: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=ARMS)
    options = parser.parse_args()
    bundle = open_bundle(options.bundle)
    runs: dict[str, list[dict[str, Any]]] = {arm: [] for arm in options.arms}
    for repeat, arm in in_turns(options.arms, options.repeats):
        found = measured(arm, bundle, options.clients, options.seconds)
        runs[arm].append(found)
        print(f"repeat {repeat + 1}, {arm}: {json.dumps(found)}", file=sys.stderr)
    settings = {
        "clients": options.clients,
        "seconds": options.seconds,
        "repeats": options.repeats,
        "image": "×".join(map(str, bundle.image_shape)),
    }
    publish("serving", settings, runs, render(runs))


def measured(arm: str, bundle: OpenBundle, clients: int, seconds: float) -> dict[str, Any]:
    """One run of one arm."""
    with tempfile.TemporaryDirectory() as folder, started(arm, bundle, Path(folder)) as (process, port):
        path = "/invocations" if arm == MLFLOW else "/v1/models/model:predict"
        attacks = attacks_on(port) if arm == HOSTILE else []
        tally = Tally()
        before, after = asyncio.run(
            load(process, port, requests(bundle, path, port), attacks, clients, seconds, tally)
        )
        alive = process.poll() is None
    times = sorted(tally.seconds)
    if not times:
        raise SystemExit(f"{arm} gave no right answer: {tally.wrong}")
    return {
        "answers_per_second": len(times) / seconds,
        "median_ms": 1000 * statistics.median(times),
        "p99_ms": 1000 * times[int(0.99 * len(times))],
        "wrong": tally.wrong,
        "hostile": tally.hostile,
        "memory_before_mib": before / MEBIBYTE,
        "memory_after_mib": after / MEBIBYTE,
        "alive": alive,
    }


@contextmanager
def started(arm: str, bundle: OpenBundle, folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A server that answers, and its port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    if arm == MLFLOW:
        model = folder / "model"
        model.mkdir()
        as_mlflow_model(bundle, model)
        script = "import sys; from mlflow.cli import cli; sys.exit(cli())"
        command = [
            "-c",
            script,
            "models",
            "serve",
            "-m",
            str(model),
            "--env-manager",
            "local",
            "--port",
            str(port),
        ]
    else:
        command = ["-m", "harness", "serve", str(bundle.folder), "--port", str(port)]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, *command], stdout=log, stderr=log, start_new_session=True, cwd=folder,
            env=os.environ | {"MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db",
                              "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
                              "PYTHONPATH": str(Path(__file__).resolve().parent.parent)},
        )  # fmt: skip
    try:
        wait_for(process, port, folder / "log")
        yield process, port
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def as_mlflow_model(bundle: OpenBundle, folder: Path) -> None:
    """The bundle's network as `harness sweep` logs it to MLflow."""
    source = bundle.source
    model = KerasModel(source.file, source.sha256, source.classes, source.example_shape)
    write_model_folder(folder, model, "0" * 32, "m-" + "0" * 32)


def wait_for(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        try:
            with socket.create_connection(("127.0.0.1", port), 5) as connection:
                connection.sendall(b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
                if connection.recv(12).endswith(b"200"):
                    return
        except OSError:
            time.sleep(0.2)
    raise SystemExit(f"{process.args} did not start:\n{log.read_text(errors='replace')[-3000:]}")


def requests(bundle: OpenBundle, path: str, port: int) -> list[bytes]:
    """Some requests, each with an image of random pixels."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (64, *bundle.image_shape)).tolist()
    return [post(port, path, json.dumps({"instances": [image]}).encode()) for image in images]


def post(
    port: int, path: str, body: bytes, *, kind: str = "application/json", length: int | None = None
) -> bytes:
    return (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: {kind}\r\n"
        f"Content-Length: {len(body) if length is None else length}\r\n\r\n"
    ).encode() + body


def attacks_on(port: int) -> list[Attack]:
    from PIL import Image

    stream = io.BytesIO()
    Image.effect_noise((400, 300), 90).save(stream, "jpeg")
    head = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + b"IHDR" + head
    bomb += struct.pack(">I", zlib.crc32(b"IHDR" + head))
    predict, upload = "/v1/models/model:predict", "/predict"
    in_json = json.dumps({"instances": [{"b64": base64.b64encode(bomb).decode()}]}).encode()
    return [
        Attack("empty", post(port, predict, b""), 400),
        Attack("a gigabyte", post(port, predict, b"[", length=1_000_000_000), 413),
        Attack("no image", post(port, upload, b"text" * 500, kind="image/jpeg"), 400),
        Attack("a bomb", post(port, upload, bomb, kind="image/png"), 400),
        Attack("a bomb in JSON", post(port, predict, in_json), 400),
        Attack("a cut-off JPEG", post(port, upload, stream.getvalue()[:3000], kind="image/jpeg"), 400),
        Attack("wrong JSON", post(port, predict, b'{"instances": [[[NaN'), 400),
        Attack("nested", post(port, predict, b"[" * 100_000), 400),
        Attack("another path", post(port, "/v1/models/other:predict", b"{}"), 404),
        Attack("a slow sender", post(port, predict, b"[", length=500), 408),
    ]


async def load(
    process: subprocess.Popen[bytes],
    port: int,
    sent: Sequence[bytes],
    attacks: Sequence[Attack],
    clients: int,
    seconds: float,
    tally: Tally,
) -> tuple[int, int]:
    """Ask the server; its memory in bytes at the beginning of what counts, and at the end."""
    hostile = round(clients * HOSTILE_SHARE) if attacks else 0
    asking = [asyncio.create_task(client(port, sent, number, tally)) for number in range(clients - hostile)]
    attacking = [asyncio.create_task(attacker(port, attacks, number, tally)) for number in range(hostile)]
    await asyncio.sleep(WARM_UP_SECONDS)
    before = memory(process)
    tally.counting = True
    await asyncio.sleep(seconds)
    tally.counting = False
    for task in asking:
        task.cancel()
    await asyncio.gather(*asking, return_exceptions=True)
    for task in attacking:
        task.cancel()
    await asyncio.gather(*attacking, return_exceptions=True)
    await asyncio.sleep(1)
    return before, memory(process)


async def client(port: int, sent: Sequence[bytes], number: int, tally: Tally) -> None:
    """Sends one request after the other on one connection; opens another one where it is closed."""
    while True:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            while True:
                started = time.perf_counter()
                writer.write(sent[number % len(sent)])
                status, body = await answer(reader)
                if tally.counting:
                    if status == 200 and b"predictions" in body:
                        tally.seconds.append(time.perf_counter() - started)
                    else:
                        tally.note(tally.wrong, str(status))
                number += 1
        except (OSError, asyncio.IncompleteReadError, ValueError) as error:
            if tally.counting:
                tally.note(tally.wrong, type(error).__name__)
            await asyncio.sleep(0.01)


async def attacker(port: int, attacks: Sequence[Attack], number: int, tally: Tally) -> None:
    """Sends one hostile request after the other, each on a connection of its own."""
    while True:
        attack = attacks[number % len(attacks)]
        number += 1
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(attack.content)
            status, _ = await asyncio.wait_for(answer(reader), SLOW_SECONDS)
            writer.close()
            if status == attack.status:
                tally.note(tally.hostile, attack.name)
            else:
                tally.note(tally.wrong, f"{attack.name}: {status}")
        except (OSError, asyncio.IncompleteReadError, ValueError) as error:
            tally.note(tally.wrong, f"{attack.name}: {type(error).__name__}")
        await asyncio.sleep(0.01)


async def answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Status and body of the next answer."""
    head = await reader.readuntil(b"\r\n\r\n")
    status = int(head[9:12])
    lengths = [line[15:] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return status, await reader.readexactly(int(lengths[0]))


def memory(process: subprocess.Popen[bytes]) -> int:
    """Bytes that the server's processes have in memory."""
    top = psutil.Process(process.pid)
    return sum(one.memory_info().rss for one in [top, *top.children(recursive=True)])


def render(runs: dict[str, list[dict[str, Any]]]) -> str:
    def median(arm: str, name: str) -> float:
        return statistics.median(run[name] for run in runs[arm])

    rows = []
    for arm, found in runs.items():
        rate = median(arm, "answers_per_second")
        times = f"{rate / median(MLFLOW, 'answers_per_second'):.1f}" if MLFLOW in runs else ""
        hostile = sum(sum(run["hostile"].values()) for run in found)
        wrong = sum(sum(run["wrong"].values()) for run in found)
        rows.append(
            [arm, f"{rate:.0f}", times, f"{median(arm, 'median_ms'):.0f}",
             f"{median(arm, 'p99_ms'):.0f}", wrong, hostile, f"{median(arm, 'memory_before_mib'):.0f}",
             f"{median(arm, 'memory_after_mib'):.0f}"]
        )  # fmt: skip
    headers = (
        "server", "answers/s", "times mlflow's", "median, ms", "p99, ms", "wrong answers", "hostile, refused",
        "memory before, MiB", "after, MiB",
    )  # fmt: skip
    return table(headers, rows)


if __name__ == "__main__":
    main()
