"""The motion channels as the 52 ARKit blendshape weights that 3D avatars know.

Each shape's effect on the channels was measured on ten rendered heads at weight 1 (train/motion/shapes.py makes
docs/reports/shapes.md); a weight is the channel over that effect. Where one channel has several causes, they are told
apart in the order of the face: jaw first, then lips, then corners. Shut lips stay shut: whatever the jaw opens beyond
the lips' gap, `mouthClose` takes back, and no shape that parts the lips is set past what is left of the gap.

Shapes that nothing here moves stay 0: jawForward, jawLeft, jawRight, mouthLeft, mouthRight, mouthDimple, mouthShrug,
mouthPress, cheekPuff, tongueOut. A tongue behind the teeth (tongueUp) has no shape among them.
"""

from __future__ import annotations

import numpy as np

from engines.spec import MOTION_CHANNELS

ARKIT = (
    # In ARKit's own order (ARFaceAnchor.BlendShapeLocation); left is the person's own left.
    *("eyeBlinkLeft", "eyeLookDownLeft", "eyeLookInLeft", "eyeLookOutLeft", "eyeLookUpLeft", "eyeSquintLeft"),
    *("eyeWideLeft", "eyeBlinkRight", "eyeLookDownRight", "eyeLookInRight", "eyeLookOutRight", "eyeLookUpRight"),
    *("eyeSquintRight", "eyeWideRight", "jawForward", "jawLeft", "jawRight", "jawOpen", "mouthClose", "mouthFunnel"),
    *("mouthPucker", "mouthLeft", "mouthRight", "mouthSmileLeft", "mouthSmileRight", "mouthFrownLeft"),
    *("mouthFrownRight", "mouthDimpleLeft", "mouthDimpleRight", "mouthStretchLeft", "mouthStretchRight"),
    *("mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper", "mouthPressLeft", "mouthPressRight"),
    *("mouthLowerDownLeft", "mouthLowerDownRight", "mouthUpperUpLeft", "mouthUpperUpRight", "browDownLeft"),
    *("browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight", "cheekPuff", "cheekSquintLeft"),
    *("cheekSquintRight", "noseSneerLeft", "noseSneerRight", "tongueOut"),
)

# Effect of weight 1, eye distances: medians over ten heads.
JAW_GAP, JAW_DROP, JAW_CORNERS = 0.50, 0.25, 0.20  # jawOpen: gap, chin, corners that it takes down
UPPER_GAP, UPPER_RISE = 0.148, 0.079  # mouthUpperUp
LOWER_GAP, LOWER_DROP = 0.128, 0.103  # mouthLowerDown
FUNNEL_GAP = 0.210
SMILE_RISE, SMILE_WIDTH, FROWN_DROP = 0.159, 0.247, 0.051
STRETCH_WIDTH, PUCKER_WIDTH = 0.147, 0.091
ROLL_UPPER, ROLL_LOWER = 0.033, 0.060
ROLL_WITH_GAP = 0.125  # an upper lip thins by this much of the gap without rolling (GRID)
INNER_INNER, INNER_OUTER = 0.038, 0.017  # browInnerUp: effect on the inner and the outer brow
OUTER_INNER, OUTER_OUTER = 0.058, 0.062  # browOuterUp
BROW_DOWN, SNEER_INNER = 0.028, 0.052
# By convention, not measured: landmarks are too coarse for protrusion, raised lids and for brows drawn together, and
# ARKit gives no angles. Together by this much is an angry face's.
BROW_TOGETHER = 0.028
WIDE_OPEN = 0.2  # lids beyond rest, as a share of the gap between them: as far as any look here raises them
FUNNEL_FORWARD = 0.04
LOOK_SIDE, LOOK_UPRIGHT = np.radians(30.0), np.radians(25.0)

_AT = {name: i for i, name in enumerate(ARKIT)}
_CHANNEL = {name: i for i, name in enumerate(MOTION_CHANNELS)}


def arkit_weights(motion: np.ndarray) -> np.ndarray:
    """Motion codes (..., 26) -> weights (..., 52) float32 in 0..1, in the order of ARKIT."""
    motion = np.asarray(motion, np.float64)
    weights = np.zeros((*motion.shape[:-1], len(ARKIT)))

    def channel(name: str) -> np.ndarray:
        return motion[..., _CHANNEL[name]]

    def put(name: str, value: np.ndarray) -> np.ndarray:
        value = np.clip(value, 0, 1)
        for full in (name, name + "Left", name + "Right"):
            if full in _AT:
                weights[..., _AT[full]] = value
        return value

    gap = np.maximum(channel("jawOpen"), 0)
    # Half of a gap at least is the jaw's, even where the chin's course lags behind.
    jaw = put("jawOpen", np.maximum(channel("jawDrop") / JAW_DROP, 0.5 * gap / JAW_GAP))
    put("mouthClose", jaw - gap / JAW_GAP)
    left = np.maximum(gap - JAW_GAP * jaw, 0)  # of the gap, for the lips themselves to make
    width = channel("mouthStretch")
    funnel = put("mouthFunnel", np.minimum(channel("mouthFunnel") / FUNNEL_FORWARD, left / FUNNEL_GAP))
    left = left - FUNNEL_GAP * funnel
    upper = put("mouthUpperUp", np.minimum(channel("mouthUpperUp") / UPPER_RISE, left / UPPER_GAP))
    left = np.maximum(left - UPPER_GAP * upper, 0)
    lower_by_itself = channel("mouthLowerDown") - JAW_GAP * jaw
    put("mouthLowerDown", np.minimum(lower_by_itself / LOWER_DROP, left / LOWER_GAP))
    put("mouthPucker", -width / PUCKER_WIDTH)
    smiles = []
    for side in ("Left", "Right"):
        corner = channel("mouthSmile" + side)
        smiles.append(put("mouthSmile" + side, corner / SMILE_RISE))
        put("mouthFrown" + side, (-corner - JAW_CORNERS * jaw) / FROWN_DROP)
        put("cheekSquint" + side, np.minimum(1.2 * channel("eyeSquint"), smiles[-1]))
    put("mouthStretch", (width - SMILE_WIDTH * (smiles[0] + smiles[1]) / 2) / STRETCH_WIDTH)
    put("mouthRollUpper", (channel("mouthRollUpper") - ROLL_WITH_GAP * gap) / ROLL_UPPER)
    put("mouthRollLower", channel("mouthRollLower") / ROLL_LOWER)

    # Two shapes lift the brows, each of them both parts: solve for weights that are not negative.
    inner, outer = channel("browInnerUp"), channel("browOuterUp")
    determinant = INNER_INNER * OUTER_OUTER - OUTER_INNER * INNER_OUTER
    only_inner = (OUTER_OUTER * inner - OUTER_INNER * outer) / determinant
    both = (INNER_INNER * outer - INNER_OUTER * inner) / determinant
    put("browInnerUp", np.where(both < 0, inner / INNER_INNER, only_inner))
    put("browOuterUp", np.where(only_inner < 0, outer / OUTER_OUTER, both))
    by_sneer = SNEER_INNER * channel("noseSneer")
    put("browDown", np.maximum((-inner - by_sneer) / BROW_DOWN, channel("browDown") / BROW_TOGETHER))

    for side, outward in (("Left", 1), ("Right", -1)):
        put("eyeBlink" + side, channel("eyeBlink" + side))
        put("eyeWide" + side, -channel("eyeBlink" + side) / WIDE_OPEN)
        put("eyeLookOut" + side, outward * channel("eyeLookX") / LOOK_SIDE)
        put("eyeLookIn" + side, -outward * channel("eyeLookX") / LOOK_SIDE)
    put("eyeLookUp", channel("eyeLookY") / LOOK_UPRIGHT)
    put("eyeLookDown", -channel("eyeLookY") / LOOK_UPRIGHT)
    put("eyeSquint", channel("eyeSquint"))
    put("noseSneer", channel("noseSneer"))
    return weights.astype(np.float32)


def head_quaternion(motion: np.ndarray) -> np.ndarray:
    """Head rotation (x, y, z, w) float64 of one code (26,), in Unity's frame as VMC wants it.

    Unity is left-handed, y up, and an avatar looks along +z with its own right at +x: looking up is -x, turning to
    one's left is -y, tilting to one's left is +z; Euler angles apply in the order z, x, y.
    """
    pitch, yaw, roll = (float(motion[_CHANNEL[name]]) / 2 for name in ("headPitch", "headYaw", "headRoll"))
    sx, cx, sy, cy, sz, cz = np.sin(-pitch), np.cos(pitch), np.sin(-yaw), np.cos(yaw), np.sin(roll), np.cos(roll)
    return np.array(
        [
            cy * sx * cz + sy * cx * sz,
            sy * cx * cz - cy * sx * sz,
            cy * cx * sz - sy * sx * cz,
            cy * cx * cz + sy * sx * sz,
        ]
    )
