"""Which of FaceMesh's points is what: eyes, lips, outline.

Landmarks are 478 points; the first FACE of them are the face's surface, the last ten both irises. "Right" and "left"
are the person's own; the person's right is the picture's left.
"""

from __future__ import annotations

from dataclasses import dataclass

FACE = 468  # points of the surface: iris points are not part of the mesh
FACE_OVAL = (
    *(10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377),
    *(152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109),
)


@dataclass(frozen=True, slots=True)
class Eye:
    """Points of one eye. Lids run from corner to corner, so that upper[k] lies above lower[k]."""

    upper: tuple[int, ...]
    lower: tuple[int, ...]
    skin: tuple[int, ...]  # just above the upper lid
    fold: tuple[int, ...]  # under the brow
    brow: tuple[int, ...]  # around its hair
    iris: tuple[int, ...]  # centre, then four points of its edge

    @property
    def opening(self) -> list[int]:
        """Around what is seen between the lids, once."""
        return [*self.upper, *self.lower[-2:0:-1]]


LEFT = Eye(
    upper=(263, 466, 388, 387, 386, 385, 384, 398, 362),
    lower=(263, 249, 390, 373, 374, 380, 381, 382, 362),
    skin=(467, 260, 259, 257, 258, 286, 414),
    fold=(342, 445, 444, 443, 442, 441, 413),
    brow=(300, 293, 334, 296, 336, 285, 295, 282, 283, 276),
    iris=(473, 474, 475, 476, 477),
)
RIGHT = Eye(
    upper=(33, 246, 161, 160, 159, 158, 157, 173, 133),
    lower=(33, 7, 163, 144, 145, 153, 154, 155, 133),
    skin=(247, 30, 29, 27, 28, 56, 190),
    fold=(113, 225, 224, 223, 222, 221, 189),
    brow=(70, 63, 105, 66, 107, 55, 65, 52, 53, 46),
    iris=(468, 469, 470, 471, 472),
)
EYES = (LEFT, RIGHT)  # in the order of eyeBlinkLeft, eyeBlinkRight
# Both corners of each eye, from the person's right to the left.
RIGHT_EYE, LEFT_EYE = (RIGHT.upper[0], RIGHT.upper[-1]), (LEFT.upper[-1], LEFT.upper[0])
# The middle of the lids: upper, lower.
RIGHT_LIDS = tuple(zip(RIGHT.upper[3:6], RIGHT.lower[3:6], strict=True))
LEFT_LIDS = tuple(zip(LEFT.upper[3:6], LEFT.lower[3:6], strict=True))
# What moves with the skull alone, or nearly.
RIGID = (*RIGHT_EYE, *LEFT_EYE, 168, 6, 197, 195, 5, 4, 98, 327, 10, 151, 127, 356, 54, 284, 103, 332)

LIP_ROWS = (  # four rings from the skin inward, upper and lower half, each from the person's right to the left
    (61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291),
    (146, 91, 181, 84, 17, 314, 405, 321, 375),
    (76, 184, 74, 73, 72, 11, 302, 303, 304, 408, 306),
    (77, 90, 180, 85, 16, 315, 404, 320, 307),
    (62, 183, 42, 41, 38, 12, 268, 271, 272, 407, 292),
    (96, 89, 179, 86, 15, 316, 403, 319, 325),
    (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308),
    (95, 88, 178, 87, 14, 317, 402, 318, 324),
)
CORNERS = (LIP_ROWS[0][0], LIP_ROWS[0][-1])  # of the outer lips: the person's right and left
# Pairs of inner-lip points, from the person's right corner to the left; first and last are the corners.
UPPER_SEAM = LIP_ROWS[6]
LOWER_SEAM = (UPPER_SEAM[0], *LIP_ROWS[7], UPPER_SEAM[-1])
# Around the lips, once: from the person's right corner over the upper lip to the left one, and back below.
INNER_LIPS = UPPER_SEAM + LIP_ROWS[7][::-1]
OUTER_LIPS = LIP_ROWS[0] + LIP_ROWS[1][::-1]
