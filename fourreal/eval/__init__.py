"""How good a grid or a scene is: the metrics and tables of the papers, baselines, intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fourreal.core.lazy_names import install_lazy_names

if TYPE_CHECKING:
    from fourreal.eval.baselines import BASELINES as BASELINES
    from fourreal.eval.feature_cache import FeatureCache as FeatureCache
    from fourreal.eval.frechet import frechet_score as frechet_score
    from fourreal.eval.grid_pair import GridPair as GridPair
    from fourreal.eval.image_metrics import psnr as psnr
    from fourreal.eval.image_metrics import ssim as ssim
    from fourreal.eval.pair_metrics import image_metrics_without_weights as image_metrics_without_weights
    from fourreal.eval.pair_metrics import lpips_metric as lpips_metric
    from fourreal.eval.protocols import PROTOCOLS as PROTOCOLS
    from fourreal.eval.protocols.evaluate import evaluate as evaluate
    from fourreal.eval.protocols.one_grid import one_grid as one_grid
    from fourreal.eval.protocols.protocol import Extent as Extent
    from fourreal.eval.protocols.protocol import Models as Models
    from fourreal.eval.protocols.protocol import Protocol as Protocol
    from fourreal.eval.protocols.protocol import Reconstructor as Reconstructor
    from fourreal.eval.protocols.protocol import Table as Table
    from fourreal.eval.protocols.report import write_report as write_report
    from fourreal.eval.protocols.worlds import worlds as worlds
    from fourreal.eval.protocols.worlds import worlds_recon as worlds_recon

install_lazy_names(
    __name__,
    {
        "BASELINES": "fourreal.eval.baselines",
        "Extent": "fourreal.eval.protocols.protocol",
        "FeatureCache": "fourreal.eval.feature_cache",
        "GridPair": "fourreal.eval.grid_pair",
        "Models": "fourreal.eval.protocols.protocol",
        "PROTOCOLS": "fourreal.eval.protocols",
        "Protocol": "fourreal.eval.protocols.protocol",
        "Reconstructor": "fourreal.eval.protocols.protocol",
        "Table": "fourreal.eval.protocols.protocol",
        "evaluate": "fourreal.eval.protocols.evaluate",
        "frechet_score": "fourreal.eval.frechet",
        "image_metrics_without_weights": "fourreal.eval.pair_metrics",
        "lpips_metric": "fourreal.eval.pair_metrics",
        "one_grid": "fourreal.eval.protocols.one_grid",
        "psnr": "fourreal.eval.image_metrics",
        "ssim": "fourreal.eval.image_metrics",
        "worlds": "fourreal.eval.protocols.worlds",
        "worlds_recon": "fourreal.eval.protocols.worlds",
        "write_report": "fourreal.eval.protocols.report",
    },
)
