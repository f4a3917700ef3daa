"""Jobs that are set up wrongly: they stall with the worker's own words, and no volume fails."""

from tests.e2e.acts import MINUTES, Acts
from tests.e2e.site import Site
from tests.support.jobs import counts

SOME = ("a", "b", "c")


def test_wrong_parameters_stall_the_job_until_they_are_corrected(site: Site) -> None:
    wrong = {"parameters": {"dpi": "many"}}
    acts = Acts.begin(site, "work", *SOME, worker=wrong, parallelism=2)
    said = acts.job.wait_stalled("Misconfigured", 2 * MINUTES)
    assert "parameters of handler 'act': dpi='many': Input should be a valid integer" in said
    assert "failed" not in counts(acts.job.read())

    acts.job.patch(worker={"parameters": {"dpi": 600}})
    acts.let_go(*SOME)
    assert counts(acts.job.wait_complete(3 * MINUTES)) == {"total": 3, "succeeded": 3}
    last = acts.attempts("c")[-1]
    acts.check_log("c", last["number"], "600 dpi")


def test_an_unknown_handler_stalls_the_job(site: Site) -> None:
    acts = Acts.begin(site, "work", *SOME, worker={"handler": "nope"}, parallelism=2)
    said = acts.job.wait_stalled("Misconfigured", 2 * MINUTES)
    assert "there is no handler 'nope'; this image has act" in said
    assert "failed" not in counts(acts.job.read())
