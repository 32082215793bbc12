import numpy as np
import pytest

from rl_editor.effects import stretch
from rl_editor.log_spectra import (
    LOWEST_HZ,
    MAX_SHIFT_STEPS,
    STEPS_A_SEMITONE,
    log_spectra,
    shifted_vectors,
)
from rl_editor.tests.made_recordings import SR, music


def sine(frequency_hz: float) -> np.ndarray:
    return np.sin(2 * np.pi * frequency_hz * np.arange(2 * SR) / SR).astype(np.float32)


@pytest.mark.parametrize("step", [100, 150, 201])
def test_a_tone_lies_at_its_step_and_a_semitone_above_at_three_more(step):
    for semitones in (0, 1):
        frequency_hz = LOWEST_HZ * 2 ** (step / 36 + semitones / 12)
        spectra = log_spectra(sine(frequency_hz), SR)
        peak = int(spectra[40].argmax()) - MAX_SHIFT_STEPS
        assert abs(peak - step - STEPS_A_SEMITONE * semitones) <= 1


def test_vectors_of_a_shifted_recording_are_those_of_its_spectra_shifted():
    signal = music(6.0, 3)
    raised = stretch(signal[:, None], SR, 1.0, 2.0)[:, 0]
    wet = shifted_vectors(log_spectra(raised, SR)).vectors
    spectra = log_spectra(signal, SR)
    likeness = [
        float(np.mean(np.sum(wet * shifted_vectors(spectra, shift).vectors, axis=1)))
        for shift in range(-MAX_SHIFT_STEPS, MAX_SHIFT_STEPS + 1)
    ]
    assert int(np.argmax(likeness)) - MAX_SHIFT_STEPS == 2 * STEPS_A_SEMITONE
    assert max(likeness) > 0.75
