"""A process in the place of a worker, without TensorFlow: it trains nothing, and says what it sees of GPUs.

It answers a question with its CUDA_VISIBLE_DEVICES. A segment's parameters say what becomes of it: `peak`,
the bytes that it takes of a GPU's memory; `fails`: there are none left; `dies`: CUDA ends the process for
that.
"""

from __future__ import annotations

import os
import sys

from harness.clock import now_ms
from harness.engine.wire import Ready, decode_request, encode_report
from harness.records import Answer, Question, Segment, SegmentFailed, TrainingEnded

reports = os.fdopen(int(next(one for one in sys.argv if one.startswith("--reports=")).split("=")[1]), "w")


def say(report: Ready | Answer | SegmentFailed | TrainingEnded) -> None:
    """Write a report as a worker does."""
    reports.write(encode_report(report))
    reports.flush()


say(Ready())
for line in sys.stdin:
    request = decode_request(line)
    if isinstance(request, Question):
        own = [one for one in sys.argv if one.startswith("--device-data")]
        seen = os.environ.get("CUDA_VISIBLE_DEVICES", "all")
        say(Answer(question=request.name, said=" ".join([seen, *own])))
    elif isinstance(request, Segment):
        told = {"trial": request.trial, "attempt": request.attempt, "time": now_ms()}
        if "dies" in request.params:
            sys.exit("E0000 failed to allocate 2.00GiB: CUDA_ERROR_OUT_OF_MEMORY: out of memory")
        if "fails" in request.params:
            say(SegmentFailed(failure="out_of_memory", message="no room", traceback="", **told))
        else:
            peak = int(request.params["peak"])
            say(TrainingEnded(epoch=1, over=True, device_bytes=peak, **told))
