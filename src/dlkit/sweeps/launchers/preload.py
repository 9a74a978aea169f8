"""What every job imports, imported once: the processes of the jobs are copies of one that has imported this module.

Imports only: a device that is opened here could not be used in a copy.
"""

import torch.utils.tensorboard  # noqa: F401

import dlkit.run  # noqa: F401
