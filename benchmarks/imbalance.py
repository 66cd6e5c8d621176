"""What class weights, balanced sampling and focal loss do for rare classes.

    python -m benchmarks.imbalance path/to/sign-digits/Dataset

Of every second class only one training image in ten is kept; validation and test stay balanced. Each
remedy trains the same network with the same seeds; the mean macro F1 on the test split is compared.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import statistics
import uuid
from pathlib import Path

from benchmarks.command import harness, machine, on_test

REMEDIES = ("none", "class_weights", "sampling", "focal")
TEST_SHARE = 0.2
RATIO = 10


def write_manifest(source: Path, target: Path) -> dict[str, int]:
    """A manifest with rare classes; returns the training images by class."""
    rng = random.Random(0)
    counts: dict[str, int] = {}
    with target.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["path", "label", "split"])
        for index, folder in enumerate(sorted(path for path in source.iterdir() if path.is_dir())):
            images = sorted(folder.iterdir())
            rng.shuffle(images)
            held = round(TEST_SHARE * len(images))
            train = images[2 * held :]
            if index % 2:
                train = train[: len(train) // RATIO]
            counts[folder.name] = len(train)
            parts = (("test", images[:held]), ("validation", images[held : 2 * held]), ("train", train))
            for split, files in parts:
                writer.writerows([file.resolve(), folder.name, split] for file in files)
    return counts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=20)
    options = parser.parse_args()

    manifest = Path("imbalanced.csv")
    counts = write_manifest(options.dataset, manifest)
    print(f"{machine()}; training images by class: {counts}")
    found: dict[str, list[float]] = {remedy: [] for remedy in REMEDIES}
    for seed in range(options.seeds):
        for remedy in REMEDIES:
            study = f"imbalance-{uuid.uuid4().hex[:8]}"
            harness(
                "train", "imbalanced", "--dataset", str(manifest), "--epochs", str(options.epochs),
                "--study", study, "--json", "--set", f"seed={seed}", "--set", f"space.balance={remedy}",
                "--set", "space.focal_gamma=2.0", "--set", "space.augmentation=shift",
            )  # fmt: skip
            found[remedy].append(on_test(study)["metrics"]["f1_macro"])
    for remedy, scores in found.items():
        each = ", ".join(f"{score:.4f}" for score in scores)
        gain = statistics.mean(scores) - statistics.mean(found["none"])
        print(f"{remedy:<14} macro F1 {statistics.mean(scores):.4f} ({gain:+.4f} over none)  seeds: {each}")
    target = Path(__file__).parent / "results" / "imbalance.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(
        json.dumps({"machine": machine(), "train_counts": counts, "f1_macro": found}, indent=1) + "\n"
    )


if __name__ == "__main__":
    main()
