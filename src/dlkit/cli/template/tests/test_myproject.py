"""A short run of this project's model on its data must learn."""

from pathlib import Path

import dlkit

CONF = Path(__file__).parent.parent / "conf"


def test_a_short_run_tells_the_rings_apart(tmp_path: Path) -> None:
    run = dlkit.train(["--config-dir", str(CONF), "experiment=first", f"run_dir={tmp_path / 'run'}"])
    assert run.result["metrics"]["test/accuracy"] > 0.9
