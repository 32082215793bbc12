"""A module imports only from its own stage or an earlier one, and commands start light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import rl_editor

STAGES = {
    "base": "atomic config config_file errors extras materials parallel silence stopping units",
    "analysis": """
        analysis audio audio_containers audio_decoders audio_writer beat_bars beat_decoding
        beat_hints beat_network beat_parts beat_stretches beat_trackers beats beats_file cache
        chunk_tags conversion demucs_stems dither features frame_features frame_vectors given_beats
        grid id3 id3_genres kept_parts limiter loudness ogg_pages phrases recurrence spectrogram
        stems tag_reader tag_writer tags track vorbis_comments""",
    "edit language": """
        action_sounds actions asked_spans batch_arrangement beat_script boundary_refinement chapters
        clip_edges clip_mix dc_offset decision_times edit_batch edit_joins edit_state
        edit_tables edl edl_fields edl_types effects ending_fade finished_edits grid_lines
        heard_beats held_length join_choice join_measures join_repair join_search joins
        kept_runs level_matching outer_silence render replay ringing sample_readers script_search
        sound_table span_lists spans spelling wishes""",
    "dataset": """
        alignment alignment_cache alignment_clips alignment_table alignment_truth coarse_match
        cut_points demonstrations edit_list_truth envelope_match jump_path line_fit line_search
        log_spectra match_review
        matches pairs played_acts performance_demonstrations performances preparation
        reference_sessions score_arrangements score_rendering score_takes scores session_files
        session_flaws session_making
        session_colour session_instruments session_noises session_noodling session_parts
        session_plan session_room session_settings session_sounds session_speech session_tones
        sessions truth
        span_levels training_items truth_store twin_choice waveform_match""",
    "environment": """
        batch_observation edit_picture environment episode_state episodes flat_environment
        gymnasium_vector
        gate_edits heard_output observation reward_agreement reward_tables reward_truth
        rewards subprocess_vec_env
        vector_environment""",
    "agent": """
        agent attention auxiliary_tasks calibration edit_search encoder heard_twice likeliest_edit
        music_detection numpy_policy
        planned_share planner policy_inputs sampled_edits take_ends""",
    "training": """
        augmentation baselines behavioral_cloning checkpoint cloning_examples collapse
        cut_scores distributed
        evaluate event_file gate gate_report ppo rollout run_folder run_log run_state
        run_view train training_data training_flags training_run validation""",
    "use": """
        __init__ cli corrected_projects data_commands deciding edit_arguments editors evaluation
        evaluation_cases
        evaluation_command evaluation_pictures evaluation_report exact_length export_command
        fitted_plan infer learn_command
        notes output_paths progress
        reasons report run_curves run_pictures""",
}
"""Modules of each stage, the earliest stage first."""

PACKAGE = Path(rl_editor.__file__).parent
STAGE_OF = {
    module: number for number, names in enumerate(STAGES.values()) for module in names.split()
}
HEAVY = ["torch", "gymnasium", "librosa", "av", "demucs", "tyro", "tensorboard"]


def imported_modules(module):
    """Return the modules of rl_editor that a module imports, inside its functions too."""
    found = set()
    for node in ast.walk(ast.parse((PACKAGE / f"{module}.py").read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relatively"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        parts = [name.split(".") for name in names if name.split(".")[0] == "rl_editor"]
        found |= {part[1] for part in parts if len(part) > 1 and part[1] in STAGE_OF}
    return found


def test_every_module_has_one_stage():
    listed = sorted(" ".join(STAGES.values()).split())
    assert listed == sorted(path.stem for path in PACKAGE.glob("*.py"))


@pytest.mark.parametrize("module", STAGE_OF)
def test_imports_come_from_this_stage_or_an_earlier_one(module):
    later = {name for name in imported_modules(module) if STAGE_OF[name] > STAGE_OF[module]}
    assert not later


def test_imports_are_found():
    assert {"actions", "spans", "units"} <= imported_modules("edit_state")
    assert "train" in imported_modules("cli")


def heavy_after(statement):
    """Return which of the heavy packages a fresh interpreter holds after a statement."""
    code = f"{statement}\nimport sys\nprint(*(set({HEAVY}) & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout.split()


def test_commands_start_without_heavy_packages():
    assert heavy_after("import rl_editor.infer, rl_editor.cli; rl_editor.edit") == []


def test_workers_start_without_torch_and_gymnasium():
    assert heavy_after("import rl_editor.subprocess_vec_env, rl_editor.vector_environment") == []
    assert "torch" not in heavy_after("import rl_editor.environment")
