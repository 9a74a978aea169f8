"""Train a model: `python train.py model=cnn optim=adam`. The same program as `dlkit train`; `--help` explains."""

import sys

if __name__ == "__main__":
    try:
        from dlkit.cli.train import main
    except ModuleNotFoundError as error:
        sys.exit(f"dlkit is not installed ({error}); in this folder, type: pip install -e .")
    main()
