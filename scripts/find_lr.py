"""Find a learning rate: `python scripts/find_lr.py model=cnn optim=sgd`, the same as `dlkit find-lr …`."""

from dlkit.cli.find_lr import main

if __name__ == "__main__":
    main()
