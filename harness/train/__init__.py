"""How it is trained: the compiled epoch, one segment, metrics, checkpoints. Imports TensorFlow."""
