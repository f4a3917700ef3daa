"""Names of tasks: legal, short, unique, whatever the ids are."""

import re

from hypothesis import given
from hypothesis import strategies as st

from bec_operator.api.names import pod_name, task_name
from bec_ops.contract.volume import Volume

LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
ids = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=128)
volumes = st.builds(Volume, ids, ids, st.one_of(st.just(""), ids))


@given(volumes)
def test_any_ids_give_a_legal_name(volume: Volume) -> None:
    """kubeflow/trainer#1101, airflow#14727: however long or strange they are."""
    name = task_name("ocr", volume)
    assert len(name) <= 52
    assert LABEL.fullmatch(name)
    assert LABEL.fullmatch(pod_name(name, 120))


@given(volumes, volumes)
def test_other_volumes_have_other_names(one: Volume, other: Volume) -> None:
    assert (task_name("ocr", one) == task_name("ocr", other)) is (one == other)


def test_the_same_volume_of_another_job_has_another_name() -> None:
    volume = Volume("W1", "I1")
    assert task_name("a", volume) != task_name("b", volume)


def test_a_name_can_be_read() -> None:
    assert task_name("ocr", Volume("W1KG1234", "I1KG1235", "1a2b3c")).startswith(
        "w1kg1234-i1kg1235-1a2b3c-"
    )
