"""A scikit-learn pipeline."""

from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import wbench
from wbench.adapters import SklearnPredictor


class Regression(SklearnPredictor):
    info = wbench.ModelInfo("me/regression", licence="Apache-2.0", summary="On magnitudes", trains=True)

    def estimator(self):
        last = LogisticRegression(max_iter=2000) if self.meta.classes else Ridge()
        return make_pipeline(StandardScaler(), last)
