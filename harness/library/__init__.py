"""The library for notebooks and scripts: a thin face over the same parts as the command line's.

Its public names are those of `harness` itself.
"""
