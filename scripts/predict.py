"""Say what a trained model makes of new inputs: `python scripts/predict.py latest photo.png`, as `dlkit predict …`."""

from dlkit.cli.predict import main

if __name__ == "__main__":
    main()
