"""What a sweep would run, with `dry_run=true`."""

from __future__ import annotations

from dlkit.cli.preflight import Checked
from dlkit.cli.preflight.points import Point
from dlkit.sweeps.plan import SAMPLER, folder_of, opened, split


def wanted(checked: Checked) -> bool:
    """Whether nothing is to be trained."""
    points, composer = checked.points, checked.composer
    if points is None or composer is None:
        return False
    return bool(composer.compose([*points.fixed, *next(iter(points))])[0]["dry_run"])


def show(checked: Checked) -> None:
    """The folder and the names of all jobs. Raises ValueError where the folder has another sweep."""
    assert checked.points is not None
    assert checked.composer is not None
    points = checked.points
    first: Point = next(iter(points))
    config, _ = checked.composer.compose([*points.fixed, *first])
    fixed, swept = dict(map(split, points.fixed)), list(dict(map(split, first)))
    fixed.pop("dry_run", None)  # the sweep itself has it not
    if points.drawn and (sampler := checked.hydra.sweeper.get("sampler")):
        fixed[SAMPLER] = sampler
    folder = folder_of(checked.hydra, checked.overrides, config["sweep"], fixed, swept)
    plan = opened(folder, [], fixed, swept)
    if points.drawn:
        print(f"search  over {', '.join(swept)}, its ends and choices checked: {folder}")
    else:
        print(f"sweep   {len(points):,} {'job' if len(points) == 1 else 'jobs'}: {folder}")
        for point in points:
            print(f"  {plan.name_of(point)}")
    print("dry run: nothing was trained and nothing was written")
