"""Numbers out of bytes in the graph, and refusing what cannot be read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import tensorflow as tf

State = TypeVar("State")


def part(content: Any, start: Any, length: Any) -> Any:
    """Up to `length` bytes from `start` on, fewer where the content ends; a scalar string."""
    at = tf.clip_by_value(tf.cast(start, tf.int64), 0, size(content))
    return tf.strings.substr(content, at, tf.maximum(tf.cast(length, tf.int64), 0))


def size(content: Any) -> Any:
    """How many bytes a scalar string has, int64."""
    return tf.cast(tf.strings.length(content), tf.int64)


def octets(content: Any, start: Any, length: int) -> Any:
    """Exactly `length` bytes as int64 (length,), zeros where the content has ended."""
    found = tf.io.decode_raw(part(content, start, length), tf.uint8)
    missing = length - tf.shape(found)[0]
    return tf.ensure_shape(tf.pad(tf.cast(found, tf.int64), [[0, missing]]), (length,))


def number(values: Any, *, big: Any) -> Any:
    """The unsigned number that the last axis of int64 octets spells, big-endian where `big`."""
    count = values.shape[-1]
    ascending = tf.constant([256**power for power in range(count)], tf.int64)
    weights = tf.where(big, ascending[::-1], ascending)
    return tf.reduce_sum(values * weights, axis=-1)


def little(values: Any) -> Any:
    """The unsigned little-endian number that the last axis of int64 octets spells."""
    return number(values, big=False)


def large(values: Any) -> Any:
    """The unsigned big-endian number that the last axis of int64 octets spells."""
    return number(values, big=True)


def either(condition: Any, value: Any, other: Any) -> Any:
    """The int64 `value` where the condition holds, else `other`."""
    return tf.where(condition, tf.cast(value, tf.int64), tf.cast(other, tf.int64))


def written(value: Any, length: int) -> Any:
    """An int64 number as `length` little-endian bytes; a scalar string."""
    shifts = tf.constant([8 * index for index in range(length)], tf.int64)
    digits = tf.bitwise.bitwise_and(tf.bitwise.right_shift(tf.cast(value, tf.int64), shifts), 255)
    return as_bytes(digits)


def as_bytes(values: Any) -> Any:
    """Numbers 0 to 255 as a scalar string of so many bytes."""
    single = tf.constant([bytes([value]) for value in range(256)])
    return tf.strings.reduce_join(tf.gather(single, values))


def begins(content: Any, prefix: bytes, at: int = 0) -> Any:
    """Whether `prefix` stands at `at`."""
    return tf.equal(part(content, at, len(prefix)), prefix)


def holds(content: Any, pattern: str) -> Any:
    """Whether the RE2 `pattern` is found anywhere in the bytes."""
    return tf.strings.regex_full_match(content, rf"(?s)\C*{pattern}\C*")


def require(condition: Any, name: Any, sentence: Any, *values: Any) -> Any:
    """The values, unless the condition does not hold: then the run ends with `name sentence`.

    Args:
        condition: scalar bool.
        name: scalar string, which of the images it is.
        sentence: what is wrong with it and what to do.
        values: returned as they are, but only once the condition is known to hold.
    """
    message = tf.strings.join([name, " ", sentence])
    with tf.control_dependencies([tf.debugging.Assert(condition, [message])]):
        kept = tuple(tf.identity(value) for value in values)
    return kept[0] if len(kept) == 1 else kept


def walk(
    start: State, goes_on: Callable[[State], Any], step: Callable[[State], State], *, most: int
) -> State:
    """The state after as many steps as it takes until nothing goes on, or after `most`.

    Args:
        start: a tuple of tensors.
        goes_on: scalar bool of a state: whether there is another step.
        step: the next state.
        most: a limit for files made to be walked for ever.
    """
    walked: tuple[State] = tf.while_loop(
        goes_on,
        lambda state: (step(state),),
        (start,),
        maximum_iterations=most,
        parallel_iterations=1,
    )
    return walked[0]
