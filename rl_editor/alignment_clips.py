"""An aligned human edit as the clips of a decision list.

In: `Alignment`. Out: `Clip`s in the order of the edit, levels against the level of the whole.
"""

from __future__ import annotations

import numpy as np

from rl_editor.alignment import Alignment, EditSpan
from rl_editor.edl import Clip


def clips_of(alignment: Alignment) -> tuple[Clip, ...]:
    """Return the spans of an alignment as clips.

    How much louder a mix or master is throughout says nothing about the editing: a clip's
    `gain_db` is its span's less the median over the edit's seconds. Where several things were
    done to the whole edit, they are in each clip.
    """
    if not alignment.spans:
        return ()
    usual_db = _usual_gain_db(alignment.spans)
    return tuple(
        Clip(
            source_start_s=max(0.0, span.raw_start_s),
            source_end_s=min(span.raw_end_s, alignment.raw_duration_s),
            timeline_start_s=span.edit_start_s,
            gain_db=span.gain_db - usual_db,
            fade_in_s=span.fade_in_s,
            fade_out_s=span.fade_out_s,
            rate=span.speed,
            semitones=span.pitch_semitones,
        )
        for span in alignment.spans
    )


def _usual_gain_db(spans: tuple[EditSpan, ...]) -> float:
    """Return the median gain over the seconds of the edit."""
    gains_db = np.array([span.gain_db for span in spans])
    lengths_s = np.array([span.edit_end_s - span.edit_start_s for span in spans])
    order = np.argsort(gains_db)
    passed_s = np.cumsum(lengths_s[order])
    return float(gains_db[order][np.searchsorted(passed_s, passed_s[-1] / 2)])
