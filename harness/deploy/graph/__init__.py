"""An image file's bytes to the pixels that training saw, in the TensorFlow graph."""
