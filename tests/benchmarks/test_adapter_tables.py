"""The tables of adapters: ratios are to calls of the same process, and the adapter's own bytes are allowed for."""

from benchmarks.adapter_tables import adapters, control

RUN = {"engine": "openvino", "way": "partway"}


def test_swaps_and_calls_are_of_their_own_processs_calls():
    quick = RUN | {"plain": [2.0, 2.0], "swaps": [1.0, 1.0], "calls": [2.2, 2.2]}
    slow = RUN | {"plain": [4.0, 4.0], "swaps": [2.0, 2.0], "calls": [4.4, 4.4]}
    row = adapters([quick, slow]).splitlines()[-1]
    assert row == "| openvino | partway | 3.00 | **0.50** | **1.100** |"


def test_memory_is_held_against_the_process_without_and_the_adapter():
    timed = RUN | {"plain": [2.0], "swaps": [1.0], "calls": [2.0]}
    peaks = [RUN | {"way": f"memory {name}", "peak_bytes": peak, "adapter_bytes": 500_000_000}
             for name, peak in (("none", 1_500_000_000), ("partway", 2_100_000_000))]  # fmt: skip
    row = adapters([timed, *peaks]).splitlines()[-1]
    assert row == "| openvino | 1.50 | 2.10 | 0.500 | **1.050** |"


def test_whole_pictures_are_medians_of_all_runs():
    timed = RUN | {"plain": [2.0], "swaps": [1.0], "calls": [2.0]}
    pictures = RUN | {"way": "few steps", "many": [20.0, 22.0, 21.0], "few": [2.0, 2.1, 2.2], "few, swapped": [3.0]}
    assert adapters([timed, pictures]).splitlines()[-1] == "| openvino | 21.0 | 2.1 | 3.0 | **0.100** |"


def test_a_controlnets_first_call_is_not_counted():
    record = {"case": "onnxruntime", "seconds": {"unet": [9.0, 4.0, 5.0], "control_0": [9.0, 2.0, 1.0]}, "ratio": 0.25}
    assert control([record]).splitlines()[-1] == "| onnxruntime | 4.00 | 1.00 | **0.25** |"
