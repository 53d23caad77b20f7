"""`fourreal doctor`: what is installed, and which verb needs what is not."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Doctor:
    """Say which optional packages are installed, and what needs those that are not.

    Example:
        fourreal doctor
    """

    def run(self) -> None:
        import platform
        import shutil

        import torch

        import fourreal
        from fourreal.core.extras import EXTRAS, packages_of
        from fourreal.core.shipped import is_shipped

        print(f"fourreal {fourreal.__version__}, Python {platform.python_version()}, torch {torch.__version__}")
        print(torch.cuda.get_device_name() if torch.cuda.is_available() else "no CUDA device, so the CPU is used")
        for kind in ("video", "recon"):
            print(f"model mini ({kind}): {'installed' if is_shipped(kind) else 'missing from this installation'}")
        for extra, purpose in EXTRAS.items():
            packages = packages_of(extra)
            missing = [name for name, version in packages.items() if version is None]
            if missing:
                state = f"missing {', '.join(missing)}: pip install 'fourreal[{extra}]'"
            else:
                state = ", ".join(f"{name} {version}" for name, version in packages.items())
            print(f"{extra}: {state} (for {purpose})")
        if not (shutil.which("chromium") or shutil.which("google-chrome")):
            print("no Chromium found: pages open in any browser; only the browser tests need it")
