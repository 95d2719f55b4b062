"""Make the environment of the peers: nnU-Net 2.8.1 and MONAI 1.6.1, beside the project's own torch, in another folder.

    python benchmarks/peers/make_environment.py [--folder FOLDER]

Nothing of it enters the project's environment. Versions that both share come from `constraints.txt`. torchvision, which
a dependency asks for and nobody here imports, is removed again: it breaks beside this torch. A folder that has the
peers already is checked and kept.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

PEERS = ("nnunetv2==2.8.1", "monai==1.6.1")
CONSTRAINTS = Path(__file__).parents[2] / "constraints.txt"
ENVIRONMENT = Path(tempfile.gettempdir()) / "polytask-peers" / "environment"
CHECK = (
    "import torch, monai, nnunetv2.training.nnUNetTrainer.nnUNetTrainer, nnunetv2.inference.predict_from_raw_data;"
    "from importlib.metadata import version; from importlib.util import find_spec;"
    "print(torch.__version__, version('nnunetv2'), monai.__version__, find_spec('torchvision'))"
)


def main() -> None:
    """Make the environment and print what it holds."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, default=ENVIRONMENT)
    print(make_environment(parser.parse_args().folder))


def make_environment(folder: Path) -> str:
    """Make the environment unless it is there, check it, and return its versions."""
    python = find_peer_python(folder)
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    pip = [str(python), "-m", "pip"]
    install = [*pip, "install", "--quiet", "--constraint", str(CONSTRAINTS)]
    if not list(folder.glob("lib/*/site-packages/nnunetv2")):
        # torch comes first, as in the project's own environment: a later package would take another build.
        subprocess.run([*install, "torch"], check=True)
        subprocess.run([*install, *PEERS], check=True)
        subprocess.run([*pip, "uninstall", "--quiet", "--yes", "torchvision"], check=True)
    done = subprocess.run([str(python), "-c", CHECK], check=True, capture_output=True, text=True)
    torch, nnunet, monai, torchvision = done.stdout.split()
    wanted = (version("torch"), "2.8.1", "1.6.1", "None")
    if (torch, nnunet, monai, torchvision) != wanted:
        sys.exit(f"{folder}: holds torch {torch}, nnunetv2 {nnunet}, monai {monai}, torchvision {torchvision}; "
                 f"expected {', '.join(wanted)}; delete the folder and run this again")  # fmt: skip
    return f"{folder}: torch {torch}, nnU-Net {nnunet}, MONAI {monai}"


def find_peer_python(folder: Path) -> Path:
    """Return the Python of the environment."""
    return folder / "bin" / "python"


if __name__ == "__main__":
    main()
