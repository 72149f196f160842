"""The site of docs/ builds without a network and without a warning, and has all public names."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import videolm

pytestmark = pytest.mark.timeout(1200)  # half a minute of one core, and these tests share it with others
ROOT = Path(__file__).parents[2]
# The builder, with every connection refused.
BUILD = """
import socket, sys
def refuse(*arguments, **options):
    raise OSError("the site is built without a network")
socket.socket.connect = socket.getaddrinfo = refuse
from sphinx.cmd.build import main
sys.exit(main(sys.argv[1:]))
"""
# What a browser fetches by itself when a page is opened.
FETCHED = re.compile(r'(?:\bsrc|<link\b[^>]*\bhref)="(?:https?:)?//')


def build(source: Path, out: Path) -> subprocess.CompletedProcess[str]:
    options = ["-W", "--keep-going", "-q", "-d", str(out / "doctrees"), "-c", str(source / "docs")]
    command = [sys.executable, "-c", BUILD, *options, str(source), str(out)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("site")
    built = build(ROOT, out)
    assert built.returncode == 0, built.stderr
    return out


@pytest.mark.long
def test_the_site_has_the_public_names(site: Path):
    text = (site / "docs" / "api" / "index.html").read_text()
    for name in set(dir(videolm)) - {"__version__"}:
        assert f'id="videolm.{name}"' in text, name
    assert "videolm.__version__" in text
    assert 'id="videolm.VideoLM.generate"' in text


@pytest.mark.long
def test_the_site_has_every_page_and_loads_nothing_from_elsewhere(site: Path):
    pages = {path.relative_to(site) for path in site.rglob("*.html")}
    sources = [*(ROOT / "docs").rglob("*.md"), *(ROOT / "benchmarks" / "results").glob("*.md")]
    written = {path.relative_to(ROOT).with_suffix(".html") for path in sources}
    assert written | {Path("index.html")} <= pages
    for page in pages:
        assert not FETCHED.search((site / page).read_text()), page


@pytest.mark.long
@pytest.mark.parametrize(
    "text", ["[gone](gone.md)", "[gone](index.md#gone)", "```{eval-rst}\n.. autoclass:: videolm.Gone\n```"]
)
def test_a_broken_link_ends_the_build(text: str, tmp_path: Path):
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "conf.py").write_text((ROOT / "docs" / "conf.py").read_text().replace('["first"]', "[]"))
    (docs / "index.md").write_text(f"# A site\n\n{text}\n")
    built = build(tmp_path, tmp_path / "out")
    assert built.returncode != 0 and "gone" in built.stderr.lower(), built
