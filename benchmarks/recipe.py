"""The short-training recipe against the tutorial's network, at equal wall time.

    python -m benchmarks.recipe path/to/cifar10-images --minutes 10

Each arm first trains two epochs, from which the number of epochs that fit is computed; then it trains
that many. Both use the same 10,000 images and the same validation split. The baseline's best epoch
counts, the recipe's last.
"""

from __future__ import annotations

import argparse
import json
import uuid
from pathlib import Path

from benchmarks.command import harness, machine, on_test, trial

ARMS = {"baseline": "baseline", "recipe": "cifar10-fast"}


def run(experiment: str, dataset: str, epochs: int, images: int, precision: str) -> str:
    """Train one configuration; the study's name."""
    study = f"recipe-{uuid.uuid4().hex[:8]}"
    harness(
        "train", experiment, "--dataset", dataset, "--epochs", str(epochs), "--study", study, "--json",
        "--set", f"dataset.limit_train={images}", "--set", "dataset.validation_fraction=0.1",
        "--set", f"training.precision={precision}",
    )  # fmt: skip
    return study


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("dataset")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS))
    parser.add_argument("--precision", default="auto", help="auto, float32 or bfloat16")
    options = parser.parse_args()

    rows = []
    for arm in options.arms:
        experiment = ARMS[arm]
        short = trial(run(experiment, options.dataset, 2, options.images, options.precision))
        seconds = short["epochs"]["2"]["epoch_seconds"]
        epochs = max(2, int(options.minutes * 60 / seconds))
        study = run(experiment, options.dataset, epochs, options.images, options.precision)
        full = trial(study)
        accuracies = [full["epochs"][str(epoch)]["val_accuracy"] for epoch in range(1, epochs + 1)]
        best = max(range(epochs), key=accuracies.__getitem__)
        rows.append(
            {
                "arm": arm,
                "epochs": epochs,
                "minutes": full["seconds"] / 60,
                "last": accuracies[-1],
                "best": accuracies[best],
                "best_epoch": best + 1,
                "test": on_test(study)["metrics"]["accuracy"],
            }
        )
    print(f"{machine()}; {options.images:,} images")
    for row in rows:
        print(
            f"{row['arm']:<9} {row['epochs']:>4} epochs in {row['minutes']:.1f} min: validation accuracy "
            f"{row['last']:.4f} at the end, {row['best']:.4f} at best (epoch {row['best_epoch']}), "
            f"test {row['test']:.4f}"
        )
    by_arm = {row["arm"]: row for row in rows}
    if set(by_arm) == set(ARMS):
        gain = by_arm["recipe"]["last"] - by_arm["baseline"]["best"]
        print(f"gain of the recipe's last epoch over the baseline's best: {100 * gain:.1f} points")
    target = Path(__file__).parent / "results" / f"recipe-{options.minutes:g}-minutes.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps({"machine": machine(), "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
