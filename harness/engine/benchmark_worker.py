"""A process that measures how fast it trains: `python -m harness.engine.benchmark_worker`.

It reads one JSON line (see `harness.engine.benchmarking`), makes itself ready, says so, waits for another
line, so that several begin at once, trains for the time it was given, and prints images a second.
"""

from __future__ import annotations

import json
import time

from harness.engine.channel import own_channel
from harness.engine.tensorflow_setup import prepare_tensorflow


def main() -> None:
    """Measure once."""
    requests, answers = own_channel()
    task = json.loads(requests.readline())
    prepare_tensorflow(task["threads"])
    from harness.train.benchmark import BATCHES, benchmark

    train = benchmark(task["params"], tuple(task["image_shape"]), task["classes"], task["precision"])
    batch = int(task["params"]["batch_size"])
    train(BATCHES, batch)  # traced
    train(BATCHES, batch)
    print("ready", file=answers, flush=True)
    if not requests.readline():
        return  # nobody waits for the result any more
    began, images = time.monotonic(), 0
    while time.monotonic() - began < task["seconds"]:
        train(BATCHES, batch)
        images += BATCHES * batch
    print(images / (time.monotonic() - began), file=answers, flush=True)


if __name__ == "__main__":
    main()
