# SPDX-License-Identifier: Apache-2.0
"""Makes the scikit-learn pipelines beside this file.

pip install scikit-learn skl2onnx; python make_models.py
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from skl2onnx import to_onnx
from sklearn.calibration import CalibratedClassifierCV
from sklearn.decomposition import PCA
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import KBinsDiscretizer, MinMaxScaler, Normalizer, StandardScaler
from sklearn.svm import SVR, LinearSVC

FOLDER = Path(__file__).parent
RNG = np.random.default_rng(0)
POINTS = RNG.uniform(-1, 1, (200, 3)).astype(np.float32)
SCORE = POINTS @ np.array([1, -2, 0.5]) + 0.3 * RNG.normal(size=200)
PLACE = np.digitize(SCORE, [-0.5, 0.5])
NAMES = np.array(["low", "mid", "high"])[PLACE]  # whose order is not that of the maps: high, low, mid


def models() -> dict[str, tuple[Any, np.ndarray]]:
    """Unfitted estimators and what they learn, by file name."""
    network = MLPClassifier((6,), max_iter=400, random_state=0)
    return {
        "logistic_numbers": (make_pipeline(StandardScaler(), LogisticRegression()), 7 - 2 * PLACE),
        "logistic_names": (make_pipeline(MinMaxScaler(), LogisticRegression()), NAMES),
        "logistic_two_names": (LogisticRegression(), np.where(SCORE > 0, "yes", "no")),
        "network_names": (make_pipeline(StandardScaler(), network), NAMES),
        "calibrated": (CalibratedClassifierCV(LinearSVC(), cv=2), PLACE),
        "bins": (make_pipeline(KBinsDiscretizer(3, encode="onehot-dense"), LogisticRegression()), PLACE > 0),
        "regression": (make_pipeline(SimpleImputer(), Normalizer("l1"), PCA(2), LinearRegression()), SCORE),
        "vectors": (make_pipeline(StandardScaler(), SVR()), SCORE[:200].astype(np.float32)),
    }


def main() -> None:
    for name, (model, target) in models().items():
        count = 40 if name == "vectors" else len(POINTS)
        model.fit(POINTS[:count], target[:count])
        found = to_onnx(model, POINTS[:1], target_opset={"": 18, "ai.onnx.ml": 3})
        (FOLDER / f"{name}.onnx").write_bytes(found.SerializeToString())


if __name__ == "__main__":
    main()
