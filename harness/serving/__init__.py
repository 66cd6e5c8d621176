"""Use finished models: open a bundle safely, classify images with it."""
