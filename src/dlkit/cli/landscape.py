"""Draw the loss around a run's weights: `dlkit landscape RUN`, with the way it went in training `--trajectory`.

Along two random directions, each filter of which is as long as that of the weights (Li et al. 2018), so that surfaces
of different nets can be compared. Or, with --trajectory, on the plane of the first two principal components of the
weights that the run kept on its way (train it with callbacks.checkpoint.keep_every=STEPS). The loss is that of some
examples of the training split, in evaluation mode, without penalties. landscape.png, .svg and .npz (a, b, loss) go into
the run's folder, or trajectory.*.
"""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Iterable, Iterator
from typing import Any

from dlkit import runs
from dlkit.cli.arguments import Parser
from dlkit.mistakes import answered


def main(args: list[str] | None = None) -> None:
    """Prints the range of the loss and writes the files; 2 for a mistake."""
    parser = Parser("landscape", __doc__)
    parser.add_run()
    parser.add_argument("--split", choices=("train", "val", "test"), default="train", help="default: train")
    parser.add_argument("--examples", type=int, metavar="N", default=1000, help="of the split, drawn at random; 1000")
    parser.add_argument("--points", type=int, metavar="N", default=25, help="of the grid along each direction, odd; 25")
    parser.add_argument(
        "--range", type=float, metavar="R", help="along random directions from -R to R, in lengths of filters; 1"
    )
    parser.add_argument("--seed", type=int, metavar="N", default=0, help="of directions and examples; 0")
    parser.add_argument("--trajectory", action="store_true", help="the plane in which the run went, and its way")
    flags = parser.parse_args(sys.argv[1:] if args is None else args)
    with answered():
        _check(flags)
        _draw(flags)


def _check(flags: Namespace) -> None:
    """Finds what can be found without torch: 0.8 s, which a mistyped command does not pay."""
    from dlkit.landscape.kept import kept

    folder = runs.find(flags.run)
    if flags.points < 3 or flags.points % 2 == 0:
        raise ValueError(f"--points {flags.points}: expected an odd number of at least 3, so that the middle is one")
    if flags.examples < 1:
        raise ValueError(f"--examples {flags.examples}: expected 1 or more")
    if flags.trajectory and flags.range is not None:
        raise ValueError(
            f"--range {flags.range:g}: has no effect with --trajectory, whose way says how far; leave it out"
        )
    if flags.range is not None and not 0 < flags.range < float("inf"):
        raise ValueError(f"--range {flags.range:g}: expected a length above 0")
    if flags.trajectory:
        kept(folder)


def _draw(flags: Namespace) -> None:
    import numpy as np

    from dlkit.landscape.surface import directions, examples, surface
    from dlkit.landscape.trajectory import trajectory
    from dlkit.log import Log
    from dlkit.plots import landscape as plots
    from dlkit.plots.style import save
    from dlkit.trained import load

    logging = Log()
    try:
        trained = load(flags.run, weights=flags.weights, device=flags.device, trust=flags.trust)
        way = trajectory(trained) if flags.trajectory else None
        batches = examples(trained, flags.split, flags.examples, seed=flags.seed)
    finally:
        logging.close()
    reach = flags.range or 1.0
    straight = np.linspace(-reach, reach, flags.points)
    a, b = way.grid(flags.points) if way else (straight, straight)
    plane = way.plane if way else directions(trained.model, flags.seed)
    found = surface(trained, batches, plane, a, b, watch=_bar)
    if way:
        figure = plots.trajectory(*found, way.points, way.steps, way.explained)
        more: dict[str, Any] = {
            "points": way.points,
            "steps": np.array(way.steps),
            "explained": np.array(way.explained),
        }
    else:
        figure, more = plots.landscape(*found), {}
    place = trained.folder / ("trajectory" if way else "landscape")
    for ending in ("png", "svg"):
        save(figure, place.with_suffix(f".{ending}"))
    np.savez(place.with_suffix(".npz"), a=found.a, b=found.b, loss=found.loss, **more)
    count = sum(len(batch.y) for batch in batches)
    print(f"loss     {found.loss.min():.4g} to {found.loss.max():.4g} on {count:,} examples of {flags.split}")
    if way:
        print(f"plane    {sum(way.explained):.1%} of the variance of the weights after {len(way.steps)} checkpoints")
    print(f"files    {place}.png, .svg, .npz")


def _bar(points: Iterable[int]) -> Iterator[int]:
    """Shows how many points of the grid are done, where somebody is looking."""
    from rich.progress import track

    from dlkit.log import console

    yield from track(points, "points", console=console, transient=True, disable=not console.is_terminal)
