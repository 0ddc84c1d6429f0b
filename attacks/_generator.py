"""The image generator that data-free attacks share."""

from __future__ import annotations

from torch import Tensor, nn


class Generator(nn.Module):
    """Noise `(B, latent)` to images `(B, C, H, W)` in [0, 1].

    A linear layer to `width` channels of a quarter of the size, then twice: nearest-
    neighbour upsampling, a 3x3 convolution, BatchNorm and LeakyReLU of slope 0.2; a
    last convolution makes the channels. The shape is that of DAFL's official code,
    where `width` is 128.
    Unlike there, the last layers are BatchNorm and sigmoid in place of tanh and
    BatchNorm: networks here take pixels in [0, 1] and normalise by themselves.
    """

    def __init__(
        self,
        latent: int,
        shape: tuple[int, int, int],
        width: int = 128,
        contrast: float = 1.0,
    ) -> None:
        """Draw the weights.

        Args:
            latent: Length of the noise.
            shape: One image, `(C, H, W)`; H and W are multiples of 4.
            width: Channels of the first layers.
            contrast: Gain of the last BatchNorm to begin with; the larger, the closer
                the first images are to black and white.
        """
        super().__init__()
        channels, high, wide = shape
        self.start = (width, high // 4, wide // 4)
        self.spread = nn.Linear(latent, width * self.start[1] * self.start[2])
        self.draw = nn.Sequential(
            nn.BatchNorm2d(width),
            nn.Upsample(scale_factor=2),
            nn.Conv2d(width, width, 3, 1, 1),
            nn.BatchNorm2d(width),
            nn.LeakyReLU(0.2),
            nn.Upsample(scale_factor=2),
            nn.Conv2d(width, width // 2, 3, 1, 1),
            nn.BatchNorm2d(width // 2),
            nn.LeakyReLU(0.2),
            nn.Conv2d(width // 2, channels, 3, 1, 1),
            (last := nn.BatchNorm2d(channels)),
            nn.Sigmoid(),
        )
        nn.init.constant_(last.weight, contrast)

    def forward(self, noise: Tensor) -> Tensor:
        """`(B, latent)` to `(B, C, H, W)`."""
        start = self.spread(noise).view(-1, *self.start)  # (B, width, H/4, W/4)
        images: Tensor = self.draw(start)
        return images
