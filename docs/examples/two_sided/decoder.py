"""A base station vendor's decoder: ridge regression from the codes to the whole image, learnt from payloads."""

import numpy as np

import wbench
from wbench.channel.quantise import unpack_codes


class Ridge(wbench.DecoderPart):
    info = wbench.ModelInfo("south/ridge", revision="1", licence="MIT", trains=True)

    def payload_format(self, spec):
        return wbench.PayloadFormat("north+south/taps-8bit-1", bits=8 * spec.limit.reals)

    def features(self, payloads):
        codes = unpack_codes([payload.data for payload in payloads], 8, self.spec.limit.reals)
        x = codes / 127.5 - 1
        x = np.sign(x) * np.expm1(np.abs(x) * np.log(256)) / 255  # the agreed μ-law, up to a scale
        return x[:, 0::2] + 1j * x[:, 1::2]

    def learn(self, train, val, seed):
        pairs = [(self.features(payloads), truth["H"]) for payloads, truth in train.batches(256)]
        x, h = (np.concatenate(parts) for parts in zip(*pairs, strict=True))
        gram = x.conj().T @ x
        ridge = 1e-3 * np.trace(gram).real / len(gram) * np.eye(len(gram))
        self.weights = np.linalg.solve(gram + ridge, x.conj().T @ h.reshape(len(h), -1))

    def decode(self, payloads):
        rows = self.features(payloads)[:, None] @ self.weights  # sample by sample: the same bits in any batch
        return rows.reshape(len(payloads), *self.meta.shape)
