"""The commands that a Flamenco Worker knows, and the settings without which each of them fails."""

from collections.abc import Mapping

_FROM_TO = ("src", "dest")
_BLENDER = ("blender_cmd", "filepath")
_MERGE = ("blender_cmd", "input1", "input2", "output", "weight1", "weight2")

NEEDED: Mapping[str, tuple[str, ...]] = {
    "echo": ("message",),
    "sleep": ("time_in_seconds",),
    "log_a_lot": (),
    "exec": ("cmd",),
    "move_out_of_way": ("src",),
    "move_to_final": _FROM_TO,
    "move_with_counter": _FROM_TO,
    "copy_file": _FROM_TO,
    "remove_tree": ("path",),
    "remove_file": ("path",),
    "create_python_file": ("filepath", "contents"),
    "blender_render": _BLENDER,
    "blender_render_progressive": (
        *_BLENDER,
        "cycles_num_chunks",
        "cycles_chunk_start",
        "cycles_chunk_end",
    ),
    "blender_render_audio": (*_BLENDER, "render_output"),
    "exr_sequence_to_jpeg": (*_BLENDER, "exr_glob"),
    "merge_progressive_renders": _MERGE,
    "merge_progressive_render_sequence": (*_MERGE, "frame_start", "frame_end"),
    "create_video": ("input_files", "output_file", "fps"),
    "concatenate_videos": ("input_files", "output_file"),
    "mux_audio": ("audio_file", "video_file", "output_file"),
    "encode_audio": ("input_file", "output_file", "bitrate", "codec"),
}
