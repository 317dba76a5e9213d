"""The Compose files in deploy/ fit the specification, start commands that exist, and hold no secret."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from edgefs.cli import COMMANDS, build_parser

yaml = pytest.importorskip("yaml", reason="PyYAML comes with mkdocs: pip install 'edgefs[docs]'")
DEPLOY = Path(__file__).parents[2] / "deploy"
FILES = sorted(DEPLOY.glob("compose*.yaml"))
SITE = DEPLOY / "compose.site.yaml"


def services(path):
    return yaml.safe_load(path.read_text())["services"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_file_fits_the_specification_of_compose(path):
    pytest.importorskip("check_jsonschema", reason="it has the schema of Compose: pip install 'edgefs[dev]'")
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def commands(service):
    """The words after `edgefs` that a service starts it with."""
    if service.get("entrypoint") == ["sh", "-c"]:
        (line,) = service["command"]
        return shlex.split(line.partition("exec edgefs ")[2])
    return service["command"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_command_of_edgefs_in_a_file_is_accepted(path, capsys):
    parser = build_parser(COMMANDS)
    for service in services(path).values():
        if str(service.get("image")).startswith("edgefs") and (words := commands(service))[0] in COMMANDS:
            parser.parse_args(words)


def test_no_file_holds_a_password_and_those_of_a_site_are_not_committed():
    for path in FILES:
        for service in services(path).values():
            named = [name for name in service.get("environment", {}) if re.search("PASSWORD|TOKEN|KEY", name)]
            assert all(name.endswith("_FILE") for name in named)
    folder = {Path(secret["file"]).parent.name for secret in yaml.safe_load(SITE.read_text())["secrets"].values()}
    assert folder == {"secrets"}
    assert "deploy/secrets/" in (DEPLOY.parent / ".gitignore").read_text().splitlines()


def test_what_runs_for_long_starts_again_and_what_is_needed_is_waited_for():
    site = services(SITE)
    assert {name for name, service in site.items() if "restart" not in service} == {"tables"}
    assert site["tables"]["depends_on"] == {"db": {"condition": "service_healthy"}}
    assert site["line1"]["depends_on"]["tables"] == {"condition": "service_completed_successfully"}
    assert all("healthcheck" in site[name] for name in ("db", "broker"))  # that of line1 is in its image


def test_a_device_of_a_site_is_as_locked_as_one_alone():
    (alone,) = services(DEPLOY / "compose.yaml").values()
    for name in ("tables", "line1"):
        assert all(services(SITE)[name][key] == alone[key] for key in ("read_only", "cap_drop", "security_opt"))
