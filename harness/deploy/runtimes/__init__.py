"""Exported models answer in processes of their own, which have NumPy and the model's runtime alone."""
