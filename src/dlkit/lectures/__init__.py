"""The lectures' figures: each a module here, an experiment of the same name under configs/experiment/lectures.

The first line of a module's docstring is its claim; its function `figure` gets the finished runs of one seed, draws
them and checks the claim in numbers (`finding.py`). `experiment=lectures/NAME` trains them; `concluding.py` calls it.
"""
