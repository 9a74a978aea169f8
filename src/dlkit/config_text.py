"""The text of config.yaml."""

from __future__ import annotations

from typing import Any

import yaml
from omegaconf._utils import get_omega_conf_dumper


def as_yaml(config: dict[str, Any]) -> str:
    """A resolved config as OmegaConf reads it back, written by libyaml: in 0.7 ms, where OmegaConf takes 5."""
    return yaml.dump(config, Dumper=Dumper, default_flow_style=False, allow_unicode=True, sort_keys=False)


class Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
    """Quotes words that OmegaConf would read as numbers."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


Dumper.add_representer(str, get_omega_conf_dumper().str_representer)
