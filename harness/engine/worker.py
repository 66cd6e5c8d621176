"""The worker process of the local engine: `python -m harness.engine.worker`.

It imports TensorFlow once, then serves until its input ends. Requests come as lines on standard input,
reports go as lines to the descriptor named on the command line; standard output and error are the worker's
log. When the input ends, the coordinator is gone and so is the worker, at once: whatever is on disk was
renamed into place whole.
"""

from __future__ import annotations

import argparse
import os

from harness.engine.channel import own_channel
from harness.engine.serving import serve
from harness.engine.tensorflow_setup import prepare_tensorflow
from harness.engine.trainer import Trainer, keras_trainer
from harness.engine.wire import Report, Request, decode_request, encode_report


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
    parser.add_argument("--device-data", type=int, help="bytes of training images to hold on a GPU")
    options = parser.parse_args()
    requests, _ = own_channel()
    reports = os.fdopen(options.reports, "w", encoding="utf-8")

    def receive() -> Request:
        line = requests.readline()
        if not line:
            os._exit(1)
        return decode_request(line)

    def send(report: Report) -> None:
        reports.write(encode_report(report))
        reports.flush()

    def start() -> Trainer:
        prepare_tensorflow(options.threads)
        return keras_trainer(options.programs_memory, options.data_memory, options.device_data)

    serve(receive, send, start)


if __name__ == "__main__":
    main()
