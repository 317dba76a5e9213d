"""The traced embedder: everything between the camera's bytes and the final embedding, as one torch module.

Cast, layout, colour order, mean/std and the metric's last step are part of the graph, so that no device code can get
them wrong. The cast comes before the transpose because TensorRT refuses to transpose uint8. The last step is written
out in float32 because 576 features of standard deviation 12 overflow float16 when they are squared.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from exporters.onnx.tail import EPS


class EmbedderGraph(nn.Module):
    """Map engine inputs `uint8 [N, H, W, C]` (BGR or grey) to embeddings `float32 [N, D]`.

    Args:
        network: Maps normalised pixels `float32 [N, C, H, W]` to features `[N, D]` or `[N, D, 1, 1]`.
        mean: Mean of the pixels in 0..1, one number per channel in the network's channel order.
        std: Standard deviation of the pixels, likewise.
        colour: What the network expects: "rgb", "bgr" or "grey".
        metric: "cosine" or "euclidean".
        base_mean: `float32 [D]`, subtracted before normalising (SimpleShot, arXiv:1911.04623); only for "cosine".
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        mean: Sequence[float],
        std: Sequence[float],
        colour: str = "rgb",
        metric: str = "cosine",
        base_mean: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.network = network.eval()
        self.flips = colour == "rgb"
        self.metric = metric
        self.register_buffer("mean", 255 * torch.tensor(mean, dtype=torch.float32).view(1, -1, 1, 1))
        self.register_buffer("scale", 1 / (255 * torch.tensor(std, dtype=torch.float32).view(1, -1, 1, 1)))
        self.register_buffer("base_mean", base_mean)
        self.register_buffer("reverse", torch.tensor([2, 1, 0]))

    def features(self, frames: Tensor) -> Tensor:
        """Return the network's output before the metric's last step, `float32 [N, D]`."""
        pixels = frames.to(torch.float32).permute(0, 3, 1, 2)
        if self.flips:
            pixels = pixels.index_select(1, self.reverse)  # one plain Gather
        return self.network((pixels - self.mean) * self.scale).flatten(1).to(torch.float32)  # type: ignore[no-any-return]

    def forward(self, frames: Tensor) -> Tensor:
        features = self.features(frames)
        if self.metric != "cosine":
            return features
        if self.base_mean is not None:
            features = features - self.base_mean
        # The minimum EPS replaces the sum with EPS: torch's ONNX optimiser takes + 1e-12 for + 0 and drops it.
        return features / torch.sqrt((features * features).sum(dim=1, keepdim=True).clamp_min(EPS))
