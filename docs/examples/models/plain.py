"""Ridge regression on magnitudes: classes as one-hot targets, positions and the like as they are."""

import numpy as np

import wbench


class Plain(wbench.Predictor):
    info = wbench.ModelInfo("me/plain", licence="MIT", summary="Ridge on magnitudes", trains=True)

    def supports(self, spec):
        return None if spec.kind in ("classify", "regress") else "answers classes and numbers only"

    def accepts(self, meta):
        return None if "subcarrier" in meta.dims else "needs channels"

    def fit(self, train, val, seed):
        batch, truth = train.load()  # read-only arrays, all samples at once; train.batches(256) gives parts
        x = self.features(batch)
        y = np.eye(self.meta.classes)[truth["label"]] if self.meta.classes else truth["target"]
        self.mean = y.mean(axis=0)
        self.weights = np.linalg.solve(x.T @ x + len(x) * np.eye(x.shape[1]), x.T @ (y - self.mean))

    def features(self, batch):
        return np.abs(batch.x["H"]).reshape(len(batch), -1)  # complex64 [n, *meta.shape]

    def predict(self, batch):
        return self.features(batch) @ self.weights + self.mean  # scores [n, classes] or outputs [n, m]
