"""Sliding windows: seconds of a volume with the chosen number of windows at once ÷ one at a time. Wanted: at most 1.

    python benchmarks/window_batches.py [--threads N] [--rounds N] [--clock cpu]

A volume of eight windows (four in 2D), and networks from light to heavy. Both sides take turns in one process, and
their answers must agree within the tolerance of the tests. Where one window at a time is chosen, nothing is measured.
"""

from __future__ import annotations

from functools import partial
from statistics import median

from _measure import CLOCKS, parse_options, print_and_exit, summarize_ratio, time_in_turns

MAX_TIME_RATIO = 1.0
CASES = (
    ("light", (8, 16, 32), (32, 32, 32)),
    ("light", (8, 16, 32), (64, 64, 64)),
    ("medium", (16, 32, 64), (32, 32, 32)),
    ("medium", (16, 32, 64), (64, 64, 64)),
    ("heavy", (32, 64, 128), (64, 64, 64)),
    ("light", (8, 16, 32), (128, 128)),
    ("medium", (16, 32, 64), (256, 256)),
)
"""Name, widths of the three stages, and size of a window."""


def main() -> None:
    """Measure every case and print the ratios."""
    chosen = parse_options(__doc__, rounds=7)
    import torch  # not before `_measure` has set how its threads wait

    from polytask.inference.sample_prediction import run_voxel_windows
    from polytask.inference.window_batch import choose_window_batch
    from polytask.inference.window_blending import blend_windows
    from polytask.model.building_blocks import EncoderSpec
    from polytask.model.network import Network
    from polytask.model.network_settings import NetworkSpec
    from polytask.tasks import make_task

    torch.set_num_threads(chosen.threads)
    fields = {"kind": "segmentation", "structures": ("a",), "exclusive": True, "fractions": (0.1,)}
    ratios, details = [], {}
    for name, widths, window in CASES:
        dims = len(window)
        encoder = EncoderSpec(dims, 1, widths, (1, 1, 1), ((1,) * dims, (2,) * dims, (2,) * dims))
        batch = choose_window_batch(encoder, window, 1, torch.device("cpu"))
        title = f"{name} network, windows of {'×'.join(map(str, window))}"
        if batch == 1:
            details[title] = "one window at a time is chosen"
            continue
        torch.manual_seed(0)
        spec = NetworkSpec(images={"scan": encoder}, voxel_image={"mask": "scan"})
        network = Network(spec, {"mask": make_task("mask", fields)}).eval()
        forward = partial(run_voxel_windows, network, "scan", None)
        image = torch.randn(1, *[2 * edge for edge in window])
        with torch.inference_mode():
            one, several = (partial(blend_windows, forward, image, window, 0.0, n) for n in (1, batch))
            torch.testing.assert_close(several()["mask"], one()["mask"])
            seconds = time_in_turns({"one": one, "several": several}, chosen.rounds, CLOCKS[chosen.clock])
        quotients = [b / a for a, b in zip(seconds["one"], seconds["several"], strict=True)]
        ratios.append(summarize_ratio(f"{title}, {batch} at once", quotients, MAX_TIME_RATIO))
        details[title] = f"{1000 * median(seconds['one']) / 2**dims:.1f} ms a window, one at a time"
    print_and_exit(ratios, chosen.json, details)


if __name__ == "__main__":
    main()
