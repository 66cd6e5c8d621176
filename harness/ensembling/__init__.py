"""The models of a study's trials averaged in one: chosen by what they predicted for the validation images."""
