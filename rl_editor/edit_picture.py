"""A picture of an edit under way, as pixels: what `render_mode="rgb_array"` returns.

Top: the recording, as high as it is loud, in colour where it is in the output, with bar and phrase
lines below and the cursor. Bottom: the output so far, on the same scale, in the colour of where in
the recording it comes from.

In: `EditState`, levels [N] in dB. Out: [H, W, 3] uint8.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rl_editor.edit_state import EditState

WIDTH, LANE_HEIGHT, GAP, LINES_HEIGHT = 640, 72, 12, 12
"""Pixels: of the picture, a lane, the space between lanes, and the marks of bars and phrases."""
HEIGHT = 2 * LANE_HEIGHT + 3 * GAP + LINES_HEIGHT
LEVEL_RANGE_DB = 40.0
"""A beat this far below the loudest one is drawn as a thin line."""
BACKGROUND, LEFT_OUT = (18, 18, 22), (84, 84, 92)
BAR_MARK, PHRASE_MARK, CURSOR_MARK = (70, 70, 78), (210, 210, 215), (255, 255, 255)


def draw_edit(state: EditState, level_db: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Return [192, 640, 3] the edit so far.

    Args:
        state: the edit.
        level_db: [N] level of each beat of the recording.
    """
    picture = np.full((HEIGHT, WIDTH, 3), BACKGROUND, dtype=np.uint8)
    edges_s, n_beats = state.context.edges_s, state.context.lines.n_beats
    column_s = (np.arange(WIDTH) + 0.5) / WIDTH * edges_s[-1]
    beat = np.minimum(np.searchsorted(edges_s, column_s, side="right") - 1, n_beats - 1)
    height = np.clip(1.0 + (level_db - level_db.max()) / LEVEL_RANGE_DB, 0.03, 1.0)
    colours = np.where(state.played[beat, None] > 0, _colours(beat / n_beats), LEFT_OUT)
    _draw_lane(picture, GAP, height[beat], colours)
    _draw_lines(picture, state)
    played = _output_beats(state, column_s)
    heard = np.flatnonzero(played >= 0)
    lane = np.zeros(WIDTH)
    lane[heard] = height[played[heard]]
    _draw_lane(picture, HEIGHT - GAP - LANE_HEIGHT, lane, _colours(played / n_beats))
    return picture


def _draw_lane(
    picture: NDArray[np.uint8], top: int, height: NDArray[np.float64], colours: NDArray
) -> None:
    """Draw columns [W] of a height in [0, 1] and a colour [W, 3], about the lane's middle."""
    away = np.abs(np.arange(LANE_HEIGHT) + 0.5 - LANE_HEIGHT / 2) / (LANE_HEIGHT / 2)
    lane = picture[top : top + LANE_HEIGHT]
    inside = away[:, None] < height
    lane[inside] = np.broadcast_to(colours, lane.shape)[inside]


def _draw_lines(picture: NDArray[np.uint8], state: EditState) -> None:
    """Draw bar and phrase marks below the recording, and the cursor through its lane."""
    edges_s, lines = state.context.edges_s, state.context.lines
    top = GAP + LANE_HEIGHT
    for size, colour, length in ((1, BAR_MARK, LINES_HEIGHT // 2), (3, PHRASE_MARK, LINES_HEIGHT)):
        beats = np.unique(lines.span_end[:-1, size])
        picture[top : top + length, _columns(edges_s[beats], edges_s[-1])] = colour
    cursor = _columns(edges_s[state.cursor], edges_s[-1])
    picture[GAP // 2 : top + LINES_HEIGHT, max(0, cursor - 1) : cursor + 1] = CURSOR_MARK


def _output_beats(state: EditState, column_s: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return [W] the source beat that the output plays at each time, -1 behind its end."""
    edges_s = state.context.edges_s
    beats = np.full(len(column_s), -1, dtype=np.int64)
    for clip in state.clips():
        into_s = (column_s - clip.timeline_start_s) * clip.rate
        length_s = clip.source_end_s - clip.source_start_s
        inside = (into_s >= 0) & (into_s < length_s)
        source_s = clip.source_start_s + into_s
        if clip.reverse:
            source_s = clip.source_end_s - into_s
        beats[inside] = np.searchsorted(edges_s, source_s[inside], side="right") - 1
    return np.minimum(beats, state.context.lines.n_beats - 1)


def _columns(time_s: NDArray[np.float64], duration_s: float) -> NDArray[np.int64]:
    return np.minimum((time_s / duration_s * WIDTH).astype(np.int64), WIDTH - 1)


def _colours(place: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return [W, 3] a colour for each place in [0, 1] of the recording, blue to orange."""
    phase = 2.0 * np.pi * (0.62 - 0.55 * np.clip(place, 0.0, 1.0)[:, None])
    return 150.0 + 95.0 * np.cos(phase - np.array([0.0, 2.1, 4.2]))
