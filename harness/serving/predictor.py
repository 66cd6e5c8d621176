"""A loaded model: from the bytes of files to pixels, and from pixels to probabilities."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.data.clips import decode_clip
from harness.data.decode import FloatsError, UnreadableError, decode
from harness.deploy.loading import load_safely
from harness.errors import DataError, ExportError, ServingError
from harness.paths import sha256_of
from harness.serving.bundle import OpenBundle
from harness.serving.source import ModelSource

Images = npt.NDArray[np.uint8]
Probabilities = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Predictor:
    """Classifies images or clips; threads may share one."""

    source: ModelSource
    network: Any
    """The `keras.Model`, from raw pixels float32 (N, H, W, C), 0 to 255, to probabilities (N, K); one of
    clips takes (N, T, H, W, C)."""
    run: Callable[[Any], Any]
    """The network as a graph: takes the same as uint8, returns a tensor float32 (N, K)."""

    @property
    def classes(self) -> tuple[str, ...]:
        """K names in the order of the outputs."""
        return self.source.classes

    @property
    def example_shape(self) -> tuple[int, ...]:
        """Height, width, channels (1 or 3) of an image; of a clip, before them the frames."""
        return self.source.example_shape

    def prepare(self, content: bytes) -> Images:
        """The pixels uint8 that training would have seen of a file: (H, W, C), or (T, H, W, C) of a clip.

        Args:
            content: the file's bytes, whatever its format, size and colours.

        Raises:
            DataError: it is no image, or no clip, that is read; the sentence says why. Or it is a video, and
                PyAV is not installed.
        """
        known = self.source
        height, width, channels = known.image_shape
        try:
            if known.frames:
                return decode_clip(content, known.frames, (height, width), channels, known.max_pixels).pixels
            return decode(content, (height, width), channels, known.pixel_range, known.max_pixels).pixels
        except FloatsError as error:
            raise DataError(
                "The image cannot be read: its pixels are floating-point numbers, and the model was trained "
                "on images of whole ones. Convert it to 8 bits a channel."
            ) from error
        except UnreadableError as error:
            raise DataError(f"The {known.noun} cannot be read: {error}.") from error

    def predict(self, images: Images) -> Probabilities:
        """The class probabilities float32 (N, K) of raw pixels uint8 (N, …), as `prepare` makes them.

        Raises:
            ServingError: the array has another shape or type.
        """
        if images.shape[1:] != self.example_shape or images.dtype != np.uint8:
            raise ServingError(
                f"{self.source.name} takes pixels uint8 of the shape (N, "
                f"{', '.join(map(str, self.example_shape))}), not {images.dtype} {images.shape}."
            )
        if not len(images):
            return np.zeros((0, len(self.classes)), np.float32)
        probabilities: Probabilities = self.run(images).numpy()
        return probabilities


def predictor(bundle: OpenBundle) -> Predictor:
    """Load the Keras model of a bundle; see `predictor_of`."""
    return predictor_of(bundle.source)


def predictor_of(source: ModelSource) -> Predictor:
    """Load a Keras model, running no code that its file brings.

    Raises:
        ServingError: the file was changed, cannot be loaded, or holds another network than was said.
        HarnessError: the user's own settings keep Keras from being used.
    """
    try:
        if sha256_of(source.file) != source.sha256:
            raise ServingError(f"The model file {source.file} was changed (SHA-256).")
        network = load_safely(source.file)
    except OSError as error:
        raise ServingError(f"The model file {source.file} cannot be read: {error.strerror}.") from error
    except ExportError as error:
        raise ServingError(str(error)) from error
    shapes = getattr(network, "input_shape", None), getattr(network, "output_shape", None)
    if shapes != ((None, *source.example_shape), (None, len(source.classes))):
        raise ServingError(
            f"The model file {source.file} does not make {len(source.classes)} classes of {source.noun}s "
            f"{source.example_shape}, as is said beside it: its shapes are {shapes[0]} and {shapes[1]}."
        )
    return Predictor(source, network, _graph(network, source.example_shape))


def _graph(network: Any, example_shape: tuple[int, ...]) -> Callable[[Any], Any]:
    """The network, traced once for any number of examples: several times faster than layer by layer."""
    import tensorflow as tf

    traced: Callable[[Any], Any] = tf.function(
        lambda images: network(tf.cast(images, tf.float32), training=False), autograph=False
    ).get_concrete_function(tf.TensorSpec((None, *example_shape), tf.uint8))
    return lambda images: traced(tf.constant(images))
