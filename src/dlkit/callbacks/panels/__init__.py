"""What TensorBoard shows beside curves: each draws next to a log or an evaluation, within an allowance of time."""
