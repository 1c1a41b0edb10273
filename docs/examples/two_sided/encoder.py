"""A UE vendor's encoder: the entries of the image that are strongest on average, 8 bits each by the μ-law."""

import numpy as np

import wbench
from wbench.channel.quantise import MuLaw, pack_codes


class StrongTaps(wbench.EncoderPart):
    info = wbench.ModelInfo("north/strong-taps", revision="1", licence="Apache-2.0", trains=True)

    def payload_format(self, spec):  # both sides must give the same
        return wbench.PayloadFormat("north+south/taps-8bit-1", bits=8 * spec.limit.reals)

    def fit(self, train, val, seed):
        _, truth = train.load()
        power = np.mean(np.abs(truth["H"]) ** 2, axis=0).ravel()
        self.strong = np.sort(np.argsort(power)[-(self.spec.limit.reals // 2) :])
        self.law = MuLaw(bits=8, peak=float(np.abs(truth["H"]).max()))

    def encode(self, batch):
        taps = batch.x["H"].reshape(len(batch), -1)[:, self.strong]
        reals = np.stack([taps.real, taps.imag], axis=-1).reshape(len(batch), -1)
        codes = self.law.encode(reals)
        data, bits = pack_codes(codes, self.law.bits)
        return [wbench.Payload(one, bits) for one in data]
