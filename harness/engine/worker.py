"""The worker process: imports TensorFlow once, then runs segments until its input ends.

Started by the local engine as `python -m harness.engine.worker`. Requests come as JSON lines on
standard input, reports go as JSON lines to the descriptor named on the command line; standard output
and error are the worker's log. When the input ends, the coordinator is gone and so is the worker,
at once: whatever is on disk was renamed into place whole.
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import IO, Any

from harness.engine.channel import own_channel
from harness.errors import HarnessError
from harness.model.keras_setup import import_keras
from harness.records import Segment, SegmentFailed, WorkerEvent, segment_from_dict, to_dict


def main() -> None:
    """Run the worker; returns only through the end of the process."""
    parser = argparse.ArgumentParser()
    # So that people can tell workers apart in a list of processes.
    parser.add_argument("--study", help="the study's folder")
    parser.add_argument("--worker", help="the worker's number")
    parser.add_argument("--reports", type=int, required=True, help="file descriptor for reports")
    parser.add_argument("--threads", type=int, required=True, help="threads for one operation")
    parser.add_argument(
        "--programs-memory", type=int, required=True, help="bytes of compiled programs to keep"
    )
    parser.add_argument("--data-memory", type=int, required=True, help="bytes of images to hold")
    options = parser.parse_args()

    segments: queue.Queue[Segment] = queue.Queue()
    stop = threading.Event()
    requests, _ = own_channel()
    threading.Thread(target=_listen, args=(requests, segments, stop), daemon=True).start()

    reports = os.fdopen(options.reports, "w", encoding="utf-8")

    one_at_a_time = threading.Lock()

    def send(message: dict[str, Any]) -> None:
        with one_at_a_time:
            reports.write(json.dumps(message) + "\n")
            reports.flush()

    def observe(event: WorkerEvent) -> None:
        send({"event": to_dict(event)})

    prepare_tensorflow(options.threads)
    from harness.train.failures import describe
    from harness.train.segment import Workbench, run_segment

    bench = Workbench(options.programs_memory, options.data_memory)
    send({"ready": os.getpid()})
    while True:
        segment = segments.get()
        tell = partial(_tell_failure, segment, observe, describe)
        try:
            run_segment(segment, bench, observe, stop.is_set).add_done_callback(tell)
        except Exception as error:  # noqa: BLE001 - whatever a trial raises is an outcome of the trial
            observe(describe(segment, error))


def _tell_failure(
    segment: Segment,
    observe: Callable[[WorkerEvent], None],
    describe: Callable[[Segment, BaseException], SegmentFailed],
    files: Future[None],
) -> None:
    error = files.exception()
    if error is not None:
        observe(describe(segment, error))


def prepare_tensorflow(threads: int) -> None:
    """Import TensorFlow with `threads` threads an operation; on a GPU take memory as it is needed.

    If that cannot be, the process ends with a sentence on standard error.
    """
    try:
        import_keras()
    except HarnessError as error:
        sys.exit(str(error))
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    for device in tf.config.list_physical_devices("GPU"):
        tf.config.experimental.set_memory_growth(device, True)
        tf.config.experimental.enable_op_determinism()


def _listen(requests: IO[str], segments: queue.Queue[Segment], stop: threading.Event) -> None:
    """Queue what the coordinator sends; leave with it when it goes."""
    for line in requests:
        message = json.loads(line)
        if "segment" in message:
            stop.clear()
            segments.put(segment_from_dict(message["segment"]))
        elif "stop" in message:
            stop.set()
    os._exit(1)


if __name__ == "__main__":
    main()
