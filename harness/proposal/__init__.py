"""An experiment file that fits a data set: the data is looked at, what fits is decided, and it is written
down with the reasons.

`survey` looks at headers, `means` at the machine and the weights that are there; `decisions` puts together
what `frame`, `pretrained` and `scratch` decide from these two alone; `file` writes it in YAML; and `chosen`
does all of it where a command is given data in the place of an experiment.
"""
