"""A bundle behind HTTP: TensorFlow Serving's REST interface, uploads, a page, limits."""
