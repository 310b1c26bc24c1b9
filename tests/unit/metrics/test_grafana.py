"""docs/grafana.json asks for figures that there are."""

from __future__ import annotations

import json
import re
from pathlib import Path

from chaincast.metrics.catalogue import COUNTERS, GAUGES, HISTOGRAMS, prometheus_name

DASHBOARD = json.loads((Path(__file__).parents[3] / "docs" / "grafana.json").read_text())


def test_every_figure_that_it_shows_is_in_the_catalogue() -> None:
    known = {f"{prometheus_name(name)}_total" for name in COUNTERS} | {prometheus_name(name) for name in GAUGES}
    known |= {f"{prometheus_name(name)}_bucket" for name in HISTOGRAMS}
    shown = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
    used = {name for expression in shown for name in re.findall(r"chaincast_\w+", expression)}
    assert used <= known
    assert len(used) > 12


def test_its_panels_do_not_overlap() -> None:
    places = [panel["gridPos"] for panel in DASHBOARD["panels"]]
    cells = [(x, y) for p in places for x in range(p["x"], p["x"] + p["w"]) for y in range(p["y"], p["y"] + p["h"])]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(places)
