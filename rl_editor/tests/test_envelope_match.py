import numpy as np
import pytest

from rl_editor.effects import stretch
from rl_editor.envelope_match import (
    ENVELOPE_FPS,
    band_levels,
    envelope_correlations,
    fine_correlations,
    frame_centres,
    lead,
    refine_by_envelope,
)
from rl_editor.matches import Match
from rl_editor.tests.made_recordings import SR, music
from rl_editor.tests.made_tasks import made_music


def unit(signal: np.ndarray) -> np.ndarray:
    return (signal / np.sqrt(np.mean(np.square(signal)))).astype(np.float32)


@pytest.mark.parametrize("frequency_hz", [500, 1500, 4000])
def test_levels_are_read_lower_for_a_raised_signal(frequency_hz):
    times = np.arange(SR) / SR
    centres = np.array([SR // 2])
    low = unit(np.sin(2 * np.pi * frequency_hz * times))
    high = unit(np.sin(2 * np.pi * frequency_hz * 2 ** (2 / 12) * times))
    wet, dry = band_levels(high, centres, SR), band_levels(low, centres, SR, 6)
    assert wet.argmax() == dry.argmax()
    assert wet.max() == pytest.approx(dry.max(), abs=1.0)


def test_frames_cover_a_range_evenly():
    centres = frame_centres(1000, 1000 + SR, SR, margin=2)
    assert len(centres) == ENVELOPE_FPS + 4
    np.testing.assert_allclose(np.diff(centres), SR / ENVELOPE_FPS)


@pytest.mark.parametrize(("speed", "semitones"), [(1.05, 0.0), (0.94, 1.0)])
def test_the_line_of_a_stretched_passage_is_found(speed, semitones):
    raw = unit(music(14.0, 6))
    edit = unit(stretch(raw[2 * SR : 12 * SR, None], SR, speed, semitones)[:, 0])
    guess = Match(0, len(edit), 2.08 * SR, speed * 1.006, round(3 * semitones))
    found = refine_by_envelope(guess, raw, edit, SR, 0.02)
    found = refine_by_envelope(found, raw, edit, SR, 0.01)
    assert found.speed == pytest.approx(speed, abs=0.001)
    middle = np.array(len(edit) / 2)
    assert found.raw_at(middle) / SR == pytest.approx(7.0, abs=0.01)
    assert found.confidence > 0.6


def test_another_recording_does_not_correlate():
    raw, edit = unit(music(10.0, 7)), unit(music(8.0, 8))
    assert refine_by_envelope(Match(0, len(edit), SR), raw, edit, SR, 0.02).confidence < 0.4


def test_a_common_rhythm_correlates_until_the_bands_are_made_independent():
    raw, stranger = (unit(made_music(8.0, seed)[:, 0]) for seed in (1, 2))
    copy = unit(stretch(raw[:, None], SR, 1.05, 0.0)[:, 0])
    starts, window = np.array([SR, 3 * SR, 5 * SR]), (2 * SR, SR)
    beside = Match(0, len(raw), 0.0)
    assert min(envelope_correlations(beside, raw, stranger, starts, window)) > 0.7
    assert max(fine_correlations(beside, raw, stranger, starts, window)) < 0.4
    faster = Match(0, len(copy), 0.0, 1.05)
    assert min(fine_correlations(faster, raw, copy, starts, window)) > 0.6


def test_the_right_place_leads_others_and_that_of_a_common_rhythm_does_not():
    raw, copy = unit(music(14.0, 3)), unit(stretch(music(14.0, 3)[:, None], SR, 1.05, 0.0)[:, 0])
    assert lead(Match(0, len(copy), 0.0, 1.05), raw, copy, SR) > 0.4
    assert lead(Match(0, len(copy), 0.5 * SR, 1.05), raw, copy, SR) < 0.0
    raw, stranger = (unit(made_music(8.0, seed)[:, 0]) for seed in (1, 2))
    assert lead(Match(0, len(raw), 0.0), raw, stranger, SR) < 0.1
