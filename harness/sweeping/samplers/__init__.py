"""Samplers: what chooses configurations; `harness.experiment.samplers` lists the kinds."""
