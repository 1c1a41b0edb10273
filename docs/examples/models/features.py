"""A pre-trained encoder: the harness trains the heads on its features."""

from torch import nn

import wbench
from wbench.adapters import ModuleEmbedder


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Linear(2 * 16, 64)
        self.layers = nn.ModuleList(nn.TransformerEncoderLayer(64, 4, 128, batch_first=True) for _ in range(2))

    def forward(self, x):  # [n, 2, 1, 1, 8, 16]
        tokens = self.embed(x[:, :, 0, 0].transpose(1, 2).flatten(2))  # one token per transmit antenna
        for layer in self.layers:
            tokens = layer(tokens)
        return tokens  # [n, token, d]; [n, d] is one token


class Features(ModuleEmbedder):
    info = wbench.ModelInfo(
        "me/features",
        kind="foundation",
        licence="Apache-2.0",
        summary="Two transformer layers",
        pretraining=("snap-umi",),
        pretraining_samples=20_000,
        overlap="scenario",
    )
    weights = "features.safetensors"  # beside this file; or what torch.save(module.state_dict(), …) wrote
    shape = (1, 1, 8, 16)
    other_shapes = "crop-pad"  # "refuse", the default, is a reported n/a

    def build(self):
        return Encoder()

    def layers(self):  # only for --regime fine-tune --layers 1
        return [self.module.embed, *self.module.layers]
