"""Two models: one that looks at nothing, and one that a radio engineer would try first."""

from __future__ import annotations

import numpy as np

from wbench import ModelInfo, Predictor


class Always(Predictor):
    """The trivial baseline: skill is measured against it."""

    info = ModelInfo("acme/always", revision="1", kind="trivial", summary="always says: reflection", licence="MIT")

    def supports(self, spec):
        """None, or the reason why not."""
        return None if spec.family == "acme-reflection" else "it knows about floors only"

    def predict(self, batch):
        """Scores float [n, 2]; the larger one is the answer."""
        return np.tile([0.0, 1.0], (len(batch), 1))


class Ripple(Always):
    """Two waves beat over frequency, one does not: the strongest beat of the power against its mean."""

    info = ModelInfo(
        "acme/ripple",
        revision="1",
        kind="classical",
        summary="ripple of the power over frequency",
        licence="MIT",
        trains=True,
    )

    def fit(self, train, val, seed):
        """Choose the threshold that is right most often on the training part."""
        batch, truth = train.load()
        ripple, label = self._ripple(batch), truth["label"] == 1
        candidates = np.quantile(ripple, np.linspace(0.01, 0.99, 99))
        right = [np.mean((ripple > candidate) == label) for candidate in candidates]
        self.threshold = float(candidates[int(np.argmax(right))])

    def predict(self, batch):
        """Distance from the threshold, for and against."""
        margin = self._ripple(batch) - self.threshold
        return np.stack([-margin, margin], axis=1)

    def count_parameters(self):
        """One threshold."""
        return 1

    def _ripple(self, batch):
        # Both waves leave in one azimuth, so all columns of the array hear the same beat: their mean has less noise.
        power = np.mean(np.abs(batch.x["H"][:, 0, 0]) ** 2, axis=1)  # [n, subcarrier]
        beats = np.abs(np.fft.rfft(power, axis=-1))
        return beats[:, 1:].max(axis=1) / beats[:, 0]
