"""What people who join rely on says the same everywhere: versions, addresses, commands, forms."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

import videolm

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
ADDRESS = "https://github.com/videolm/videolm"
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
FORMS = sorted(path for path in (ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml") if path.stem != "config")


def read(path: Path):
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def commands(workflow: Path) -> list[str]:
    steps = [step for job in read(workflow)["jobs"].values() for step in job["steps"]]
    return [line for step in steps for line in step.get("run", "").splitlines()]


def test_the_version_is_one():
    citation = read(ROOT / "CITATION.cff")
    assert videolm.__version__ == PROJECT["version"] == citation["version"]
    assert f"## {videolm.__version__}" in (ROOT / "CHANGELOG.md").read_text()
    assert citation["license"] == PROJECT["license"] and citation["cff-version"] == "1.2.0"


def test_the_address_is_one():
    assert PROJECT["urls"]["Source"] == read(ROOT / "CITATION.cff")["repository-code"] == ADDRESS
    assert all(url.startswith(ADDRESS) for url in PROJECT["urls"].values())
    texts = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / ".github").rglob("*.yml")]
    for path in texts:
        for owner in re.findall(r"github\.com/([\w-]+)/videolm\b", path.read_text(encoding="utf-8")):
            assert owner == "videolm", path


def test_pages_that_addresses_name_are_there():
    for url in PROJECT["urls"].values():
        if place := re.search(r"/(?:tree|blob)/main/(.*)", url):
            assert (ROOT / place[1]).exists()


def test_the_workflow_tests_every_version_that_the_package_names():
    (workflow,) = WORKFLOWS
    jobs = read(workflow)["jobs"]
    named = re.findall(r"Python :: (3\.\d+)", " ".join(PROJECT["classifiers"]))
    assert jobs["tests"]["strategy"]["matrix"]["python-version"] == named == ["3.11", "3.12", "3.13"]
    assert PROJECT["requires-python"] == f">={named[0]}"
    said = " ".join(commands(workflow))
    assert all(word in said for word in ("make check", "make docs", "pytest", "build --wheel"))


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_what_a_workflow_calls_is_there(workflow: Path):
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.M))
    for line in commands(workflow):
        assert set(re.findall(r"\bmake ([\w-]+)", line)) <= targets, line
        assert all((ROOT / name).is_file() for name in re.findall(r"tests/\S+\.py", line)), line


def test_hooks_call_tools_that_the_environment_has():
    needed = {re.split(r"[\[><=]", each)[0] for each in PROJECT["optional-dependencies"]["dev"]}
    (repository,) = read(ROOT / ".pre-commit-config.yaml")["repos"]
    assert repository["repo"] == "local"
    for hook in repository["hooks"]:
        program, *words = hook["entry"].split()
        tool = words[1] if words[0] == "-m" else Path(program).name
        assert program.startswith(".venv/bin/") and tool in needed, hook
        assert all((ROOT / word).exists() for word in words if word.endswith(".py"))


def test_dev_has_the_extras_whose_parts_are_tested():
    (own,) = [each for each in PROJECT["optional-dependencies"]["dev"] if each.startswith("videolm[")]
    assert set(re.findall(r"\w+", own)) == {"videolm", "app", "docs", "world"}


@pytest.mark.parametrize("form", FORMS, ids=lambda path: path.stem)
def test_a_form_asks_for_something_under_names_of_its_own(form: Path):
    content = read(form)
    assert content["name"] and content["description"]
    names = [field["id"] for field in content["body"]]
    assert len(set(names)) == len(names)
    assert any(field.get("validations", {}).get("required") for field in content["body"])
