"""How good a trained model is and where it errs: figures with intervals, pictures, and the worst errors."""
