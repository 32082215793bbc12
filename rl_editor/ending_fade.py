"""A fade at the end of a track that stops dead.

Music that is cut off while it plays gets a fade over its last seconds, a last chord that still
rings a short one; where the sound has died away, nothing changes.

In: the clips of an edit, ready to render, and the samples of their source. Out: the clips; the
last one may have another fade.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from rl_editor.edl import Clip
from rl_editor.join_measures import read_mono
from rl_editor.sample_readers import SampleReader
from rl_editor.units import gain_to_db, samples_to_seconds, seconds_to_samples

PLAYING_DB, RINGING_DB = -12.0, -40.0
"""Level at the end, against the loudest before it, above which music plays on, or rings on."""
PLAYING_FADE_S, RINGING_FADE_S = 4.0, 0.8
MAX_SHARE = 0.5
"""Of the last clip that a fade may take."""
CURVE = "s"

_BEFORE_S = 10.0
"""Where the loudest is looked for."""
_FRAME_S = 0.1
_SILENCE_DB = -70.0


def faded_ending(clips: Sequence[Clip], reader: SampleReader) -> tuple[Clip, ...]:
    """Return the clips, of which the one that ends last fades out if it would stop dead.

    Args:
        clips: on the timeline; an ending that already fades out for longer stays, and so does one
            that is played backwards.
        reader: the samples of the source.
    """
    sr = reader.info.sample_rate
    if not clips:
        return ()
    last = max(range(len(clips)), key=lambda k: clips[k].timeline_samples(sr)[1])
    clip = clips[last]
    if clip.reverse:
        return tuple(clips)
    start, stop = clip.timeline_samples(sr)
    possible = seconds_to_samples(MAX_SHARE * samples_to_seconds(stop - start, sr), sr)
    fade_s = samples_to_seconds(min(seconds_to_samples(_wanted_s(clip, reader), sr), possible), sr)
    if fade_s <= clip.fade_out_s:
        return tuple(clips)
    faded = replace(clip, fade_out_s=fade_s, fade_out_curve=CURVE)
    return (*clips[:last], faded, *clips[last + 1 :])


def _wanted_s(clip: Clip, reader: SampleReader) -> float:
    """Return the length in s of the fade that the end of a clip needs, 0 for none."""
    sr = reader.info.sample_rate
    first, stop = clip.source_samples(sr)
    n_frame = max(1, seconds_to_samples(_FRAME_S, sr))
    n_frames = max(1, min(round(_BEFORE_S / _FRAME_S), (stop - first) // n_frame))
    signal = read_mono(reader, stop - n_frames * n_frame, stop).astype(np.float64)
    levels_db = gain_to_db(np.sqrt(np.square(signal).reshape(n_frames, n_frame).mean(axis=1)))
    end_db = float(levels_db[-1])
    if end_db <= max(float(levels_db.max()) + RINGING_DB, _SILENCE_DB):
        return 0.0
    return PLAYING_FADE_S if end_db > levels_db.max() + PLAYING_DB else RINGING_FADE_S
