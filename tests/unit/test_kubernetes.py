"""Manifests for Kubernetes: what kustomize makes of them follows the schemas of the cluster, strictly."""

import re
import shutil
import stat
import subprocess
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from bohb_service.api.manifests import write_manifests
from bohb_service.cli.master import main as master
from bohb_service.cli.worker import main as worker
from bohb_service.errors import StudyError
from bohb_service.fleet.kubernetes import base_name
from bohb_service.security.bundle import KINDS
from bohb_service.security.credentials import check_host, load_credentials
from bohb_service.study import load_study
from tests.acceptance.study_files import OBJECTIVES, write_study

SETTINGS = {
    "image": "registry.example.org/bohb:1",
    "namespace": "tuning",
    "storage_class": "fast",
    "resources": {"cpu": 2, "memory": "4Gi", "nvidia.com/gpu": 1},
    "node_selector": {"pool": "gpu"},
    "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists"}],
    "priority_class": "preemptible",
    "grace_seconds": 300,
    "metrics_port": 9100,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("kubernetes")
    study = write_study(place, name="My_Study.1", fleet={"workers": 3, "slots": 2, "kubernetes": SETTINGS})
    write_manifests(load_study(study), place / "out")
    return place / "out"


def objects_of(folder, overlay):
    """What `kubectl apply -k` would send: built by kustomize, or where that is missing read from the files."""
    if shutil.which("kubectl"):
        done = subprocess.run(
            ["kubectl", "kustomize", folder / overlay], capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        return list(yaml.safe_load_all(done.stdout))
    base = yaml.safe_load((folder / "base" / "kustomization.yaml").read_text())
    generated = [
        {"kind": kind, "metadata": {"name": each["name"]}, "data": {Path(file).name: file for file in each["files"]}}
        for kind, key in (("ConfigMap", "configMapGenerator"), ("Secret", "secretGenerator"))
        for each in base[key]
    ]
    texts = [(folder / name).read_text() for name in ("base/master.yaml", f"{overlay}/workers.yaml")]
    return [*generated, *(each for text in texts for each in yaml.safe_load_all(text))]


def validate(manifest):
    kubernetes_validate.validate(manifest, "1.32", strict=True)


def master_of(folder):
    (job,) = [
        each
        for each in objects_of(folder, "job")
        if each["metadata"]["name"].endswith("-master") and each["kind"] == "Job"
    ]
    return job


def containers(manifest):
    spec = manifest["spec"]["template"]["spec"]
    return [*spec["initContainers"], *spec["containers"]]


@pytest.mark.parametrize("overlay", ["deployment", "job"])
def test_every_manifest_follows_the_schema(folder, overlay):
    made = objects_of(folder, overlay)
    kinds = {each["kind"] for each in made}
    assert {"Job", "Service", "PersistentVolumeClaim"} <= kinds
    assert ("Deployment" in kinds) == (overlay == "deployment")
    for each in made:
        validate(each)


@pytest.mark.parametrize("overlay", ["deployment", "job"])
def test_all_that_pods_mount_is_there(folder, overlay):
    made = objects_of(folder, overlay)
    data = {(each["kind"], each["metadata"]["name"]): each.get("data", {}).keys() for each in made}
    mounted = {}
    for each in made:
        if "template" in each.get("spec", {}):
            pod = each["spec"]["template"]["spec"]
            for volume in pod["volumes"]:
                if "secret" in volume:
                    mounted[volume["name"]] = data["Secret", volume["secret"]["secretName"]]
                elif "configMap" in volume:
                    mounted[volume["name"]] = data["ConfigMap", volume["configMap"]["name"]]
                elif "persistentVolumeClaim" in volume:
                    mounted[volume["name"]] = data[
                        "PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"]
                    ]
            used = {mount["name"] for container in containers(each) for mount in container["volumeMounts"]}
            assert used == {volume["name"] for volume in pod["volumes"]}
    assert {name: set(keys) for name, keys in mounted.items()} == {
        "study": {"study.yaml", "objectives.py"},
        "runs": set(),
        **{side: {path.name for path in (folder / "base" / "credentials" / side).iterdir()} for side in KINDS},
    }
    assert set(KINDS) == {"master", "admin", "worker"}


def test_a_misspelt_key_is_found(folder):
    (service,) = [each for each in objects_of(folder, "job") if each["kind"] == "Service"]
    service["spec"]["selektor"] = service["spec"].pop("selector")
    with pytest.raises(kubernetes_validate.ValidationError, match="selektor"):
        validate(service)


def test_workers_of_a_job_end_with_the_study_and_bear_preemption(folder):
    (job,) = [
        each
        for each in objects_of(folder, "job")
        if each["metadata"]["name"].endswith("-worker") and each["kind"] == "Job"
    ]
    spec = job["spec"]
    assert (spec["completionMode"], spec["completions"], spec["parallelism"]) == ("Indexed", 3, 3)
    assert spec["podReplacementPolicy"] == "Failed"
    assert spec["successPolicy"] == {"rules": [{"succeededCount": 1}]}
    disrupted, given_back, wrong = spec["podFailurePolicy"]["rules"]
    assert disrupted == {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}
    assert (given_back["action"], given_back["onExitCodes"]["values"]) == ("Ignore", [75, 143])
    assert (wrong["action"], wrong["onExitCodes"]["values"]) == ("FailJob", [2])
    pod = spec["template"]["spec"]
    assert (pod["terminationGracePeriodSeconds"], pod["nodeSelector"]) == (300, {"pool": "gpu"})
    (container,) = pod["containers"]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == 1
    # Of the pod's time the evaluation gets what the worker does not need to give its job back.
    assert "--preempt-grace=290" in container["command"]
    assert container["command"][-2:] == ["--slots", "2"]


def test_a_master_whose_end_would_be_the_same_again_is_not_started_again(folder):
    final = master_of(folder)["spec"]["podFailurePolicy"]["rules"][1]
    # 75: it was stopped on request, after which a new pod would go on.
    assert (final["action"], final["onExitCodes"]["values"]) == ("FailJob", [2, 3, 5, 6, 75])


def test_figures_of_the_master_can_be_collected(folder, tmp_path):
    template = master_of(folder)["spec"]["template"]
    assert template["metadata"]["annotations"] == {"prometheus.io/scrape": "true", "prometheus.io/port": "9100"}
    (container,) = template["spec"]["containers"]
    assert "--metrics=0.0.0.0:9100" in container["command"]
    assert {"name": "metrics", "containerPort": 9100} in container["ports"]
    write_manifests(load_study(write_study(tmp_path)), tmp_path / "out", 1)
    bare = master_of(tmp_path / "out")["spec"]["template"]
    assert "annotations" not in bare["metadata"]
    assert not [part for part in bare["spec"]["containers"][0]["command"] if "metrics" in part]


def test_studies_of_different_names_have_different_objects():
    names = ["a-b", "a_b", "a.b", "A-b", "a-b-", "x" * 32, "x" * 33, "x" * 64]
    made = {base_name(name) for name in names}
    assert len(made) == len(names)
    assert base_name("a-b") == "bohb-a-b"
    # The host name of a pod of an Indexed Job of many is a label of 63 letters too.
    assert max(len(f"{name}-worker-99999") for name in made) <= 63


def test_no_container_is_root_or_may_become_it(folder):
    for overlay in ("deployment", "job"):
        for each in objects_of(folder, overlay):
            if each["kind"] not in {"Job", "Deployment"}:
                continue
            assert each["spec"]["template"]["spec"]["securityContext"]["runAsNonRoot"] is True
            for container in containers(each):
                assert container["image"] == "registry.example.org/bohb:1"
                security = container["securityContext"]
                assert (security["allowPrivilegeEscalation"], security["readOnlyRootFilesystem"]) == (False, True)


def test_the_commands_have_the_options_that_the_manifests_give_them(folder):
    commands = {"bohb-worker": worker, "bohb-master": master.commands["run"]}
    seen = set()
    for each in objects_of(folder, "job"):
        if each["kind"] == "Job":
            command = each["spec"]["template"]["spec"]["containers"][0]["command"]
            known = {option for parameter in commands[command[0]].params for option in parameter.opts}
            assert {part.partition("=")[0] for part in command if part.startswith("--")} <= known
            seen.add(command[0])
    assert seen == commands.keys()


def test_the_credentials_are_for_the_service_and_nobody_else_can_read_them(folder):
    held = load_credentials(folder / "base" / "credentials", "master")
    (service,) = [each for each in objects_of(folder, "job") if each["kind"] == "Service"]
    name = service["metadata"]["name"]
    assert re.fullmatch("bohb-my-study-1-[0-9a-f]{6}-master", name)
    for host in (name, f"{name}.tuning.svc"):
        check_host(held, host)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert (folder / ".gitignore").read_text() == "credentials/\n"


def test_the_study_that_the_cluster_gets_is_legal_where_it_is_mounted(folder):
    study = load_study(folder / "base" / "study.yaml")
    assert study.name == "My_Study.1"
    assert study.worker == f"{folder}/base/objectives.py:Quadratic"


def test_what_cannot_be_written_is_told(tmp_path):
    study = load_study(write_study(tmp_path))
    with pytest.raises(StudyError, match="give --workers N, or the study file"):
        write_manifests(study, tmp_path / "out")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").touch()
    for taken in (tmp_path / "out", tmp_path / "out" / "mine"):
        with pytest.raises(StudyError, match="exists and is not empty; give another folder"):
            write_manifests(study, taken, 2)
    run = tmp_path / "earlier"
    run.mkdir()
    with pytest.raises(StudyError, match="warm_start: earlier runs of this machine"):
        write_manifests(load_study(write_study(tmp_path, warm_start=[str(run)])), tmp_path / "new", 2)
    (tmp_path / "my objective.py").write_bytes(OBJECTIVES.read_bytes())
    spaced = write_study(tmp_path, worker="my objective.py:Quadratic")
    with pytest.raises(StudyError, match=r"worker: the file name 'my objective\.py' cannot be a key in Kubernetes"):
        write_manifests(load_study(spaced), tmp_path / "new", 2)
    same_port = write_study(tmp_path, fleet={"kubernetes": {"metrics_port": 9090}})
    with pytest.raises(StudyError, match=r"metrics_port: 9090 is where the master listens; choose another one"):
        write_manifests(load_study(same_port), tmp_path / "new", 2)
    assert not (tmp_path / "new").exists()


def test_an_empty_folder_is_filled(tmp_path):
    (tmp_path / "out").mkdir(mode=0o755)
    assert write_manifests(load_study(write_study(tmp_path)), tmp_path / "out", 2)
    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o700


def test_the_command_tells_how_to_go_on(run_cli, tmp_path):
    study = write_study(tmp_path, name="digits")
    done = run_cli("bohb-master", "manifests", study, "--workers", 2, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "manifests-digits/base/master.yaml" in done.stdout.splitlines()
    assert "kubectl apply -k manifests-digits/job" in done.stderr
