"""How alike two pictures are: what the face report measures pixels with. Grey pictures are 0..255."""

from __future__ import annotations

import cv2
import numpy as np


def grey(picture: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)


def ssim(a: np.ndarray, b: np.ndarray) -> float:
    """Structural similarity of two grey pictures (Wang et al. 2004), 11 px Gaussian window."""
    a, b = a.astype(np.float64), b.astype(np.float64)

    def blur(x: np.ndarray) -> np.ndarray:
        return cv2.GaussianBlur(x, (11, 11), 1.5)

    mean_a, mean_b = blur(a), blur(b)
    variance_a, variance_b = blur(a * a) - mean_a**2, blur(b * b) - mean_b**2
    covariance = blur(a * b) - mean_a * mean_b
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    similar = (2 * mean_a * mean_b + c1) * (2 * covariance + c2)
    return float((similar / ((mean_a**2 + mean_b**2 + c1) * (variance_a + variance_b + c2))).mean())


def psnr(a: np.ndarray, b: np.ndarray, where: np.ndarray | None = None) -> float:
    """Peak signal-to-noise ratio in dB of two pictures (H, W, 3); `where` (H, W) bool limits it to a part."""
    squared = (a.astype(np.float64) - b) ** 2
    if where is not None:
        squared = squared[where]
    return float(10 * np.log10(255**2 / max(1e-9, squared.mean())))


def gradients(picture: np.ndarray) -> np.ndarray:
    """Gradient size of a grey picture, Prewitt's 3x3 means."""
    kernel = np.array([[1, 0, -1]] * 3, np.float32) / 3
    x = cv2.filter2D(picture, cv2.CV_32F, kernel)
    y = cv2.filter2D(picture, cv2.CV_32F, kernel.T)
    return np.hypot(x, y)


def gradient_similarity(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """(mean, deviation) of the gradient similarity of two grey pictures: Xue, Zhang, Mou, Bovik 2014.

    Both are halved by means of 2x2 pixels, as there; similarity of a pixel is (2 g h + 170) / (g^2 + h^2 + 170) with
    gradients g, h. The mean is 1 for the same picture; the deviation (GMSD) is 0, and grows with what a viewer sees.
    """
    half_a, half_b = (
        cv2.resize(x.astype(np.float32), None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA) for x in (a, b)
    )
    g, h = gradients(half_a), gradients(half_b)
    similar = (2 * g * h + 170) / (g**2 + h**2 + 170)
    return float(similar.mean()), float(similar.std())


def sharpness(picture: np.ndarray) -> float:
    """Mean gradient size of a grey picture (Sobel)."""
    x = cv2.Sobel(picture, cv2.CV_32F, 1, 0, ksize=3)
    y = cv2.Sobel(picture, cv2.CV_32F, 0, 1, ksize=3)
    return float(np.hypot(x, y).mean())
