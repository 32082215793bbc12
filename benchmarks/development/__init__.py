"""A frozen benchmark for development: raw sessions made from finished tracks, with the truth.

`build` makes the recordings and `score` lets an editor loose on them. The maker is independent
of the one in `rl_editor` that makes training sessions: it shares no code with it, so what an
editor learned about the habits of that maker is of no use here.

- `pulse`: beats and bars of a finished piece, so that players stop and begin where players do.
- `piece`: a finished track as the piece that is played.
- `sounds`, `speech`: what is heard in a room besides the music.
- `performance`: a passage of the piece played once more, never quite the same; mistakes.
- `tape`: the recording as it grows, and its exact truth.
- `scenes`: what people do when they do not play the piece.
- `incidents`: what goes wrong while they play it.
- `recording`: the room, the device and the file format.
- `case`, `cases`, `session_cases`: the table of the cases.
- `maker`, `truth_file`: one case made, and its truth as a file.
"""
