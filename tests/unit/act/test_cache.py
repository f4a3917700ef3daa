"""The cache: older states and older lists never win over newer ones."""

from dataclasses import replace

from bec_operator.act.ground.cache import Cache
from bec_operator.act.ground.key import Key
from bec_operator.api.volume_task import Attempt
from bec_operator.decide.sight.seen import PodSeen, TaskSeen


def _pod(name: str, version: int, uid: str = "", namespace: str = "ns") -> PodSeen:
    return PodSeen(
        namespace=namespace,
        name=name,
        uid=uid or f"uid-{name}",
        version=version,
        job="ocr",
        task="task",
        owner_uid="owner",
    )


def _cache() -> tuple[Cache, list[Key]]:
    changed: list[Key] = []
    return Cache(changed.append), changed


def test_a_newer_state_replaces_an_older_one_and_marks_the_job() -> None:
    cache, changed = _cache()
    cache.pods.put(_pod("a", 1))
    cache.pods.put(_pod("a", 2))
    assert cache.pods.get("ns", "a") == _pod("a", 2)
    assert changed == [("ns", "ocr"), ("ns", "ocr")]


def test_an_older_state_that_comes_late_changes_nothing() -> None:
    cache, changed = _cache()
    cache.pods.put(_pod("a", 2))
    cache.pods.put(_pod("a", 1))
    assert cache.pods.get("ns", "a") == _pod("a", 2)
    assert len(changed) == 1


def test_what_was_deleted_does_not_come_back_by_a_late_event() -> None:
    cache, _ = _cache()
    cache.pods.put(_pod("a", 1))
    cache.pods.remove("ns", "a", "uid-a")
    cache.pods.put(_pod("a", 5))
    assert cache.pods.get("ns", "a") is None
    assert cache.pods.of_job(("ns", "ocr")) == {}


def test_the_deletion_of_an_older_object_leaves_its_successor() -> None:
    cache, _ = _cache()
    cache.pods.put(_pod("a", 1, uid="old"))
    cache.pods.put(_pod("a", 5, uid="new"))
    cache.pods.remove("ns", "a", "old")
    assert cache.pods.get("ns", "a") == _pod("a", 5, uid="new")


def test_a_list_takes_away_what_it_does_not_have() -> None:
    cache, _ = _cache()
    for name in ("a", "b"):
        cache.pods.put(_pod(name, 1))
    cache.pods.replace_all(None, [_pod("b", 1)], version=7)
    assert [pod.name for pod in cache.pods.all()] == ["b"]


def test_a_list_leaves_what_came_after_it_was_made() -> None:
    cache, _ = _cache()
    cache.pods.put(_pod("made-since", 8))
    cache.pods.replace_all(None, [], version=7)
    assert cache.pods.get("ns", "made-since") is not None


def test_a_list_of_one_namespace_says_nothing_of_another() -> None:
    cache, _ = _cache()
    cache.pods.put(_pod("a", 1, namespace="other"))
    cache.pods.replace_all("ns", [], version=7)
    assert cache.pods.get("other", "a") is not None


def test_a_pod_that_went_is_kept_as_it_was_until_its_task_goes() -> None:
    cache, _ = _cache()
    cache.pods.put(_pod("of-nobody", 1))
    cache.pods.remove("ns", "of-nobody", "uid-of-nobody")
    assert cache.parted == {}
    cache.tasks.put(TaskSeen("ns", "task", "owner", 1, "ocr", "job-uid", 0))
    for version, name in enumerate(("task-1", "task-2"), 1):
        cache.pods.put(_pod(name, version))
        cache.pods.remove("ns", name, f"uid-{name}")
    assert cache.parted == {"owner": _pod("task-2", 2)}
    cache.tasks.remove("ns", "task", "owner")
    assert cache.parted == {}


def test_tasks_are_found_by_the_worker_that_has_them() -> None:
    cache = Cache(lambda _: None)
    begun = Attempt(number=1, pod="w1", pod_uid="w1-uid", session="s")
    task = TaskSeen("ns", "t", "u", 1, "ocr", "j", 0)
    cache.tasks.put(task)
    assert cache.tasks.with_pod("w1-uid") == []
    has = replace(task, version=2, attempts=(begun,))
    cache.tasks.put(has)
    assert cache.tasks.with_pod("w1-uid") == [has]
    failed = replace(task, version=3, attempts=(begun.model_copy(update={"failure": "Silent"}),))
    cache.tasks.put(failed)
    assert cache.tasks.with_pod("w1-uid") == []
    cache.tasks.put(replace(has, version=4))
    cache.tasks.remove("ns", "t", "u")
    assert cache.tasks.with_pod("w1-uid") == []
