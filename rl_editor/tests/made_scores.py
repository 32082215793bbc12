"""MIDI files and a sine instrument for tests, and the smallest soundfont that can be played."""

from __future__ import annotations

import struct

import numpy as np

from rl_editor.score_takes import Take

TICKS = 480
BEAT_S = 0.5
MELODY = (60, 64, 67, 72, 71, 67, 65, 62)
BASS, MELODY_CHANNEL = 1, 0


def write_midi(path, n_bars=16, pedal=False, drums=True):
    """Write a file of 4/4 bars at 120: a melody of beats, whole notes in the bass, drums."""
    import mido

    file = mido.MidiFile(ticks_per_beat=TICKS)
    tempo = mido.MidiTrack([mido.MetaMessage("set_tempo", tempo=500_000, time=0)])
    tempo.append(mido.MetaMessage("time_signature", numerator=4, denominator=4, time=0))
    melody = mido.MidiTrack([mido.Message("program_change", program=0, channel=0)])
    for beat in range(4 * n_bars):
        key = MELODY[(3 * beat + beat // 7) % len(MELODY)]
        melody.append(mido.Message("note_on", note=key, velocity=90, channel=0, time=TICKS // 8))
        if pedal and beat % 4 == 0:
            melody.append(mido.Message("control_change", control=64, value=127, channel=0))
        melody.append(mido.Message("note_off", note=key, channel=0, time=TICKS * 6 // 8))
        if pedal and beat % 4 == 3:
            melody.append(mido.Message("control_change", control=64, value=0, channel=0))
        melody.append(mido.Message("control_change", control=11, value=127, time=TICKS // 8))
    bass = mido.MidiTrack([mido.Message("program_change", program=33, channel=BASS)])
    for bar in range(n_bars):
        key = MELODY[bar % len(MELODY)] - 24
        bass.append(mido.Message("note_on", note=key, velocity=80, channel=BASS))
        bass.append(mido.Message("note_off", note=key, channel=BASS, time=4 * TICKS))
    file.tracks += [tempo, melody, bass]
    if drums:
        kit = mido.MidiTrack()
        for _ in range(4 * n_bars):
            kit.append(mido.Message("note_on", note=36, velocity=100, channel=9))
            kit.append(mido.Message("note_off", note=36, channel=9, time=TICKS))
        file.tracks.append(kit)
    file.save(path)
    return path


def sine_renderer(take: Take, sr: int, n: int) -> np.ndarray:
    """Return [n, 2] of a take on sine waves that die away; a `score_rendering.Renderer`."""
    out = np.zeros((n, 2), dtype=np.float32)
    for note in take.notes:
        start = round(float(note["start_s"]) * sr)
        stop = min(round(float(note["end_s"]) * sr), n)
        time_s = np.arange(max(0, stop - start)) / sr
        key = note["key"] + take.tuning[note["channel"]]
        tone = np.sin(2 * np.pi * 440.0 * 2.0 ** ((key - 69) / 12) * time_s)
        level = note["velocity"] / 127 * 10 ** (take.level_db[note["channel"]] / 20) * 0.2
        tone *= level * np.exp(-3.0 * time_s) * np.minimum(1.0, 200.0 * time_s)
        tone *= np.minimum(1.0, 200.0 * time_s[::-1])
        out[start:stop] += tone.astype(np.float32)[:, None]
    return out


def write_soundfont(path, sr=22050):
    """Write a soundfont (SoundFont 2.01) with one preset: a looped sine, key 69 is 440 Hz."""
    period = 50
    wave = np.sin(2 * np.pi * np.arange(20 * period) / period) * 16000
    samples = np.concatenate([wave, np.zeros(46)]).astype("<i2").tobytes()

    def chunk(name, data):
        return name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)

    def name(text):
        return text.encode().ljust(20, b"\0")

    loop = 440.0 * period
    root = 69
    pitch_cents = round(1200 * np.log2(sr / loop))  # of the sample at its own rate, against key 69
    headers = name("sine") + struct.pack(
        "<IIIIIBbHH", 0, 20 * period, period, 19 * period, sr, root, 0, 0, 1
    )
    headers += name("EOS") + struct.pack("<IIIIIBbHH", 0, 0, 0, 0, 0, 0, 0, 0, 0)
    # Generators: 54 sample modes (1 loops), 52 fine tune in cents, 53 sample, 41 instrument.
    instrument = struct.pack("<Hh", 52, -pitch_cents) + struct.pack("<HHHH", 54, 1, 53, 0)
    hydra = {
        b"phdr": name("sine") + struct.pack("<HHHIII", 0, 0, 0, 0, 0, 0)
        + name("EOP") + struct.pack("<HHHIII", 0, 0, 1, 0, 0, 0),
        b"pbag": struct.pack("<HHHH", 0, 0, 1, 0),
        b"pmod": bytes(10),
        b"pgen": struct.pack("<HHHH", 41, 0, 0, 0),
        b"inst": name("sine") + struct.pack("<H", 0) + name("EOI") + struct.pack("<H", 1),
        b"ibag": struct.pack("<HHHH", 0, 0, 3, 0),
        b"imod": bytes(10),
        b"igen": instrument + struct.pack("<HH", 0, 0),
        b"shdr": headers,
    }  # fmt: skip
    info = chunk(b"ifil", struct.pack("<HH", 2, 1)) + chunk(b"INAM", b"sine\0\0")
    body = b"sfbk" + chunk(b"LIST", b"INFO" + info)
    body += chunk(b"LIST", b"sdta" + chunk(b"smpl", samples))
    body += chunk(b"LIST", b"pdta" + b"".join(chunk(k, v) for k, v in hydra.items()))
    path.write_bytes(chunk(b"RIFF", body))
    return path
