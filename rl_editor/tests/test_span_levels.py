import numpy as np
import pytest

from rl_editor.matches import Match
from rl_editor.span_levels import SpanLevels, span_levels
from rl_editor.tests.made_recordings import SR, music


@pytest.fixture(scope="module")
def raw() -> np.ndarray:
    return music(12.0, 3)


@pytest.mark.parametrize("gain_db", [-9.0, 0.0, 4.5])
def test_gain_without_fades(raw, gain_db):
    edit = (raw[SR : 7 * SR] * 10 ** (gain_db / 20)).astype(np.float32)
    levels = span_levels(Match(0, len(edit), float(SR)), raw, edit, SR)
    assert levels.gain_db == pytest.approx(gain_db, abs=0.01)
    assert levels.fade_in_s == levels.fade_out_s == 0.0


@pytest.mark.parametrize(("fade_in_s", "fade_out_s"), [(0.1, 0.0), (1.0, 2.0), (0.0, 3.0)])
def test_lengths_of_fades(raw, fade_in_s, fade_out_s):
    edit = raw[SR : 9 * SR].copy()
    n_in, n_out = round(fade_in_s * SR), round(fade_out_s * SR)
    edit[:n_in] *= np.linspace(0, 1, n_in, dtype=np.float32)
    edit[len(edit) - n_out :] *= np.linspace(1, 0, n_out, dtype=np.float32)
    levels = span_levels(Match(0, len(edit), float(SR)), raw, edit, SR)
    assert levels.gain_db == pytest.approx(0.0, abs=0.3)
    assert levels.fade_in_s == pytest.approx(fade_in_s, rel=0.2, abs=0.01)
    assert levels.fade_out_s == pytest.approx(fade_out_s, rel=0.2, abs=0.01)


def test_silence_has_no_level(raw):
    silence = np.zeros(SR, np.float32)
    assert span_levels(Match(0, SR, 0.0), silence, silence, SR) == SpanLevels(0.0, 0.0, 0.0)
