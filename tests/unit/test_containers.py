"""The image and the stack of containers, as far as that can be known without an engine."""

import os
import re
import subprocess
import sysconfig
import tomllib
from pathlib import Path

import pytest
import yaml

from bohb_service.cli.master import main as master
from bohb_service.cli.worker import main as worker
from bohb_service.security.bundle import KINDS
from tests.acceptance.study_files import write_study
from tests.polling import wait_until

ROOT = Path(__file__).parents[2]
SCRIPTS = Path(sysconfig.get_path("scripts"))
DOCKERFILE = (ROOT / "Dockerfile").read_text()
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())


def run(*command, **env):
    return subprocess.run(
        [SCRIPTS / command[0], *command[1:]], cwd=ROOT, env={**os.environ, **env}, capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip


def test_the_image_passes_the_linter():
    done = run("hadolint", "Dockerfile")
    assert done.returncode == 0, done.stdout


def test_the_image_is_not_root_and_its_base_is_pinned():
    assert re.search(r"^ARG PYTHON_IMAGE=docker\.io/library/python:3\.11\.\d+-slim-\w+$", DOCKERFILE, re.MULTILINE)
    assert re.findall(r"^USER (.*)$", DOCKERFILE, re.MULTILINE) == ["1000:1000"]
    stages = re.findall(r"^FROM (\S+) AS (?:cpu|gpu|base)$", DOCKERFILE, re.MULTILINE)
    assert stages == ["${PYTHON_IMAGE}", "base", "base"]


def test_no_image_gives_devices_to_containers_that_have_asked_for_none():
    assert "NVIDIA_DRIVER_CAPABILITIES=compute,utility" in DOCKERFILE
    assert "NVIDIA_VISIBLE_DEVICES" not in DOCKERFILE


def test_the_images_have_what_the_stack_and_the_studies_need():
    known = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    (default,) = re.findall(r"^ARG EXTRAS=(\S+)$", DOCKERFILE, re.MULTILINE)
    assert {"sklearn", "metrics"} <= set(default.split(",")) <= known.keys()
    text = (ROOT / "configs" / "cluster.yaml").read_text()
    ((extras, tag),) = re.findall(r"docker build --target cpu --build-arg EXTRAS=(\S+) -t (\S+) \.", text)
    study = yaml.safe_load(text)
    assert study["fleet"]["kubernetes"]["image"] == tag
    assert study["worker"] in extras.split(",")
    assert set(extras.split(",")) <= known.keys()


def test_figures_are_shown_where_they_are_asked_for(monkeypatch):
    assert COMPOSE["services"]["master"]["environment"] == {"BOHB_METRICS": "${BOHB_METRICS:-}"}
    for given, meant in (("", None), ("0.0.0.0:9100", ("0.0.0.0", 9100))):
        monkeypatch.setenv("BOHB_METRICS", given)
        assert master.commands["run"].make_context("run", ["study.yaml"]).params["metrics"] == meant


def test_a_master_that_was_stopped_or_cannot_go_on_is_not_started_again(run_cli, tmp_path):
    command = COMPOSE["services"]["master"]["command"]
    assert "--supervised" in command
    assert COMPOSE["services"]["master"]["restart"].startswith("on-failure")
    study, directory = write_study(tmp_path), tmp_path / "run"
    running = run_cli.start("bohb-master", "run", study, "--run-dir", directory, "--supervised")
    wait_until(lambda: "waiting for workers" in running.stderr)
    assert run_cli("bohb-master", "stop", directory).returncode == 0
    ended = running.wait()
    assert ended.returncode == 0
    assert "ended with exit code 75; that is 0 with --supervised, since it was stopped on request" in ended.stderr
    wrong = run_cli("bohb-master", "run", tmp_path / "nowhere.yaml", "--supervised")
    assert wrong.returncode == 0
    assert wrong.stderr.startswith("error: ")
    assert "since the same command would not get further by itself" in wrong.stderr
    assert run_cli("bohb-master", "run", tmp_path / "nowhere.yaml").returncode == 2


def test_compose_itself_accepts_the_file():
    for profile in ([], ["--profile", "gpu"]):
        done = run("docker-compose", *profile, "config", "--quiet")
        assert (done.returncode, done.stderr) == (0, "")


def test_compose_refuses_a_misspelt_key(tmp_path):
    broken = tmp_path / "docker-compose.yml"
    broken.write_text((ROOT / "docker-compose.yml").read_text().replace("stop_grace_period", "stop_grace_periode"))
    done = run("docker-compose", "-f", str(broken), "config", "--quiet")
    # The wheel's starter swallows the exit code of the binary.
    assert "additional properties 'stop_grace_periode' not allowed" in done.stderr


def test_the_file_follows_the_schema_of_compose():
    done = run("check-jsonschema", "--builtin-schema", "vendor.compose-spec", "docker-compose.yml")
    assert done.returncode == 0, done.stdout


def test_workers_wait_for_a_healthy_master_and_may_be_many():
    services = COMPOSE["services"]
    assert "healthcheck" in services["master"]
    for name, service in services.items():
        assert service["stop_grace_period"] == "60s"
        assert "container_name" not in service
        assert (name == "master") == ("depends_on" not in service)
    assert services["worker"]["depends_on"] == {"master": {"condition": "service_healthy"}}
    devices = {
        name: service["deploy"]["resources"]["reservations"]["devices"][0]["device_ids"]
        for name, service in services.items()
        if service.get("profiles") == ["gpu"]
    }
    assert devices == {"worker-gpu0": ["0"], "worker-gpu1": ["1"]}


@pytest.mark.parametrize("service", ["master", "worker"])
def test_the_commands_have_the_options_that_the_stack_gives_them(service):
    command = COMPOSE["services"][service]["command"]
    known = {
        option
        for parameter in (worker if service == "worker" else master.commands["run"]).params
        for option in parameter.opts
    }
    given = {part.partition("=")[0] for part in command if part.startswith("--")}
    assert given <= known
    assert command[0] == f"bohb-{service}"


def test_each_side_gets_its_credentials_as_secrets_and_no_others(run_cli, tmp_path):
    assert run_cli("bohb-master", "credentials", tmp_path / "keys", "--host", "master").returncode == 0
    for service, kinds in (("master", {"master", "admin"}), ("worker", {"worker"})):
        mounted = {}
        for secret in COMPOSE["services"][service]["secrets"]:
            kind, name = secret["target"].removeprefix("/run/secrets/").split("/")
            file = COMPOSE["secrets"][secret["source"]]["file"].replace("${BOHB_KEYS:-./keys}", str(tmp_path / "keys"))
            mounted.setdefault(kind, {})[name] = Path(file).read_bytes()
        assert mounted.keys() == kinds <= set(KINDS)
        for kind, files in mounted.items():
            folder = tmp_path / "keys" / kind
            assert files == {path.name: path.read_bytes() for path in folder.iterdir()}
