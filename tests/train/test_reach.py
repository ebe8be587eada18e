"""What GRID's talkers teach of people's reach, on talkers made up."""

from __future__ import annotations

import numpy as np
import pytest

from engines.motion.reach import MOUTH, OPEN, TYPICAL_REACH
from engines.spec import SPEECH_CHANNELS
from train.motion.reach import Seen, judge, judge_own, reach_of, typical_of

WORDS = np.arange(75) >= 20


def talker(factors: np.ndarray, seed: int, clips: int = 6) -> list[Seen]:
    """Clips (75 pictures) of somebody who moves so far against what is heard, and rests before the words."""
    random = np.random.default_rng(seed)
    found = []
    for _ in range(clips):
        heard = np.zeros((75, MOUTH))
        heard[WORDS] = np.cumsum(random.normal(0, 0.02, (55, MOUTH)), 0)
        found.append(Seen(heard, heard * factors, WORDS))
    return found


def test_own_clips_tell_what_most_people_do_not() -> None:
    own = np.linspace(0.5, 1.4, MOUTH)
    clips = talker(own, 0)
    assert reach_of(clips, towards=0.0) == pytest.approx(own, rel=1e-6)
    plain, most, learned = judge(clips, np.ones(MOUTH)), judge(clips, TYPICAL_REACH), judge_own(clips, 2)
    assert learned[0] < 0.4 * min(plain[0], most[0])
    assert plain[1] == pytest.approx(1 / own[OPEN])  # slope of what is heard against what is seen
    assert learned[1] == pytest.approx(1, abs=0.15)
    assert judge(clips, own) == (pytest.approx(0, abs=1e-9), pytest.approx(1))


def test_rest_says_nothing() -> None:
    clips = talker(np.ones(MOUTH), 1)
    moved = [Seen(clip.heard, clip.truth + 5.0 * ~clip.words[:, None], clip.words) for clip in clips]
    assert reach_of(moved) == pytest.approx(reach_of(clips))


def test_most_people_are_the_mean_of_people() -> None:
    one, other = np.full(MOUTH, 0.5), np.full(MOUTH, 2.0)
    left, right = (SPEECH_CHANNELS.index(name) for name in ("mouthSmileLeft", "mouthSmileRight"))
    one[left] = 0.2
    typical = typical_of([one, other])
    assert typical[OPEN] == typical[SPEECH_CHANNELS.index("mouthOpenSide")] == 1.0
    assert typical[left] == typical[right] < 1.0  # both corners alike
    assert typical[SPEECH_CHANNELS.index("jawDrop")] == pytest.approx(1.0)
