"""What the encoder reads."""

import numpy as np

from rl_editor.analysis import CONFIG, analyze_signal
from rl_editor.policy_inputs import INPUT_NAMES, LEVEL_FLOOR_DB, raw_inputs
from rl_editor.take_ends import take_ends


def test_digital_silence_is_like_a_quiet_room():
    rng = np.random.default_rng(0)
    music = 0.2 * rng.standard_normal(4 * CONFIG.sr).astype(np.float32)
    track = analyze_signal(np.concatenate([np.zeros(4 * CONFIG.sr, np.float32), music]))
    inputs = raw_inputs(track)
    level = inputs[:, INPUT_NAMES.index("rms_db")]
    change = inputs[:, INPUT_NAMES.index("rms_db_change")]
    assert track.features[0, INPUT_NAMES.index("rms_db")] == -120.0
    assert level[0] == inputs[0, INPUT_NAMES.index("drums_level_db")] == LEVEL_FLOOR_DB
    np.testing.assert_allclose(change[1:], np.diff(level), atol=1e-4)
    untouched = [
        i for i, name in enumerate(INPUT_NAMES) if "level" not in name and "rms" not in name
    ]
    whole = np.concatenate([track.features, track.recurrence, take_ends(track)], axis=1)
    np.testing.assert_array_equal(inputs[:, untouched], whole[:, untouched])
