"""Models in MLflow's registry: registered, compared with the champion, made champion, taken back."""
