"""The speed tables of the results page: each from its JSON, the load named, and what is missing with its command."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "docs" / "write_speed.py"
SAID = {"command": "python benchmarks/x.py", "machine": "2 CPU cores", "device": "cpu", "date": "2026-01-01"}


def _rows() -> dict[str, list[dict]]:
    attention = [
        {"views": views, "times": times, "frame_tokens": 64, "way": way, "flops": 1e9, "peak_flops": 1e11}
        | {"forward_seconds": 0.02 * views, "both_seconds": 0.05, "forward_bytes": 1, "both_bytes": 1}
        for views, times in ((4, 8), (8, 8), (8, 4))
        for way in ("dense", "merged")
    ]
    arrangement = {"model": "small", "tokens": 4096, "parameters": 1, "seconds": 0.5, "peak_bytes": 2e8}
    step = {"model": "mini", "sampler": "euler", "seconds": 1.0, "flops": 5e10, "peak_flops": 1e11, "scenes": 2}
    case = {"network": "small", "views": 2, "overlap": 2, "flops": 1e10, "peak_flops": 1e11}
    fits = {"seconds": 2.0, "gigabytes": 0.1, "result_gigabytes": 0.01}
    return {
        "attention": attention,
        "arrangements": [
            {**arrangement, "arrangement": "fused"},
            {"model": "small", "tokens": 4096, "arrangement": "parallel"},
        ],
        "steps": [{**step, "steps": n, "psnr": [20.0, 22.0], "psnr_moving": [15.0, None]} for n in (1, 4)],
        "reconstruct": [
            {**case, "times": 1, "window": 0, **fits},
            {**case, "times": 1, "window": 8, **fits},
            {**case, "times": 4, "window": 0},
            {**case, "times": 4, "window": 8, **fits},
        ],
    }


def test_the_page_tells_figures_limits_load_and_gaps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = importlib.util.spec_from_file_location("write_speed", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    page = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(page)
    monkeypatch.setattr(page, "DOCS", tmp_path)
    monkeypatch.setattr(page, "DATA", tmp_path / "speed")
    (tmp_path / "speed").mkdir()
    (tmp_path / "results.md").write_text(f"# Results\n\n{page.START}\nold\n{page.END}\n\nafter\n")
    rows = _rows()
    for name, load in (("attention", 0.1), ("steps", 5.0), ("reconstruct", 0.0)):
        said = {**SAID, "load_before": load, "rows": rows[name]}
        (tmp_path / "speed" / f"{name}.json").write_text(json.dumps(said))
    page.main()
    written = (tmp_path / "results.md").read_text()
    assert written.startswith("# Results\n")
    assert written.endswith(f"{page.END}\n\nafter\n")
    assert "old" not in written
    assert "Not measured yet: `python benchmarks/arrangements.py --busy --json docs/speed/arrangements.json`" in written
    assert written.count("Measured under load") == 1
    assert "| 8 x 8 x 64 | merged | 160.0 | 10.0 | 0.06 |" in written
    assert "| euler | 4 | 1.00 | 0.50 | 21.00 | 15.00 |" in written
    assert "| 2 x 4 | at once | out of memory | - | - | - |" in written
    pictures = sorted(path.name for path in (tmp_path / "images" / "speed").iterdir())
    assert pictures == ["attention.png", "reconstruct.png", "steps.png"]
    (tmp_path / "speed" / "arrangements.json").write_text(
        json.dumps({**SAID, "load_before": 0.0, "rows": rows["arrangements"]})
    )
    page.main()
    assert "Not measured" not in (tmp_path / "results.md").read_text()
