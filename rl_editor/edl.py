"""The edit decision list (EDL): the contract between deciding and everything after it.

Clips lie on a timeline and overlap where they are crossfaded: the output is the sum of all
clips, each under its own fades. A clip's source range includes its share of the overlap.
All times are whole samples of the source's rate, written as seconds.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Clip:
    """A span of the source, placed on the timeline and processed.

    Attributes:
        source_start_s, source_end_s: half-open span of the source.
        timeline_start_s: where its first sample lands in the output.
        gain_db: level change.
        fade_in_s, fade_out_s: lengths of the fades at its ends, on the timeline; 0 is none.
        fade_in_curve, fade_out_curve: one of `effects.FADE_CURVES`.
        rate: speed, 1.25 plays in 1/1.25 of the time at the same pitch.
        semitones: pitch shift at the same speed.
        reverse: played backwards.
        eq_low_db, eq_high_db: shelves at 200 Hz and 4 kHz; 0 is flat.
        distortion, reverb: strength in [0, 1]; 0 is dry.
    """

    source_start_s: float
    source_end_s: float
    timeline_start_s: float = 0.0
    gain_db: float = 0.0
    fade_in_s: float = 0.0
    fade_out_s: float = 0.0
    fade_in_curve: str = "linear"
    fade_out_curve: str = "linear"
    rate: float = 1.0
    semitones: float = 0.0
    reverse: bool = False
    eq_low_db: float = 0.0
    eq_high_db: float = 0.0
    distortion: float = 0.0
    reverb: float = 0.0
