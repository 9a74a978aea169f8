"""The loss around a model's weights, on a plane: through random directions, or through the way it went in training."""
