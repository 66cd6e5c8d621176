"""What is trained: networks, augmentation, optimizers, schedules. Imports TensorFlow."""
