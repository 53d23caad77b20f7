"""Measuring grids and scenes: the papers' metrics and tables, baselines, intervals.

Models and feature networks are arguments. `docs/metrics.md` has every metric's formula, range, direction, source and
weights.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fourreal.core.lazy_names import install_lazy_names

if TYPE_CHECKING:
    from fourreal.eval.baselines import BASELINES as BASELINES
    from fourreal.eval.grid_pair import GridPair as GridPair
    from fourreal.eval.pair_metrics import pair_metrics as pair_metrics
    from fourreal.eval.protocols import PROTOCOLS as PROTOCOLS
    from fourreal.eval.protocols import make_protocol as make_protocol
    from fourreal.eval.protocols.evaluate import evaluate as evaluate
    from fourreal.eval.protocols.plots import draw_plots as draw_plots
    from fourreal.eval.protocols.protocol import Extent as Extent
    from fourreal.eval.protocols.protocol import Models as Models
    from fourreal.eval.protocols.protocol import Reconstructor as Reconstructor
    from fourreal.eval.protocols.report import write_report as write_report

install_lazy_names(
    __name__,
    {
        "BASELINES": "fourreal.eval.baselines",
        "Extent": "fourreal.eval.protocols.protocol",
        "GridPair": "fourreal.eval.grid_pair",
        "Models": "fourreal.eval.protocols.protocol",
        "PROTOCOLS": "fourreal.eval.protocols",
        "Reconstructor": "fourreal.eval.protocols.protocol",
        "draw_plots": "fourreal.eval.protocols.plots",
        "evaluate": "fourreal.eval.protocols.evaluate",
        "make_protocol": "fourreal.eval.protocols",
        "pair_metrics": "fourreal.eval.pair_metrics",
        "write_report": "fourreal.eval.protocols.report",
    },
)
