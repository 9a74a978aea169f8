"""Several runs trained as one model with a leading replica axis: the work of K small models in a few large kernels.

Every run keeps its own objects, of which weights and moments are views into the stacked tensors, so what saves, logs
and stops a run works as it does alone.
"""
