"""Manifests for Kubernetes: a master with its volume and service, and workers as a Deployment or as an Indexed Job.

Plain files for kustomize: `base` has the master, `deployment` and `job` add the workers in one of two ways. The master
is a Job too: it ends with the study; a pod that ends before is followed by another one, which never runs beside it.
"""

import hashlib
import re
from collections.abc import Mapping
from typing import Any

from bohb_service.exit_codes import FINAL, ExitCode
from bohb_service.fleet.fleet import slot_arguments
from bohb_service.study import Kubernetes

PORT = 9090
STUDY_FILE = "study.yaml"
CREDENTIALS_FOLDER = "credentials"

_USER = 1000
_MOST_LETTERS = 32
_MANY = 1000
_LEAVING_SECONDS = 10
"""What a worker keeps for itself of the time before a pod's end: to give its job back."""

_RUN = "/runs/study"
_HELD = "/credentials"

Manifest = dict[str, Any]


def base_name(study: str) -> str:
    """What the objects of a study are called: its name as a DNS label, and of another one differently."""
    label = re.sub(r"[^a-z0-9]+", "-", study.lower()).strip("-")[:_MOST_LETTERS].strip("-")
    return f"bohb-{label}" if label == study else f"bohb-{label}-{hashlib.sha256(study.encode()).hexdigest()[:6]}"


def master_hosts(study: str, namespace: str) -> tuple[str, ...]:
    """The names by which workers reach the master's service."""
    name = f"{base_name(study)}-master"
    return name, f"{name}.{namespace}", f"{name}.{namespace}.svc"


def manifests(
    study: str, settings: Kubernetes, n_workers: int, objective: str | None, slots: int = 1
) -> dict[str, Manifest | list[Manifest]]:
    """The manifests by the names of their files; those of a file with several are a list.

    Args:
        study: Name of the study.
        settings: What the study file says of Kubernetes.
        n_workers: How many pods of workers.
        objective: Name of the file of the objective beside the study file, or None if it is installed in the image.
        slots: Workers of each pod.
    """
    maker = _Maker(study, settings, slots)
    files = [STUDY_FILE] if objective is None else [STUDY_FILE, objective]
    secrets = {
        "master": ("master/ca.pem", "master/cert.pem", "master/key.pem", "master/worker.token", "master/admin.token"),
        "admin": ("admin/ca.pem", "admin/cert.pem", "admin/key.pem", "admin/admin.token"),
        "worker": ("worker/ca.pem", "worker/cert.pem", "worker/key.pem", "worker/worker.token"),
    }
    return {
        "base/kustomization.yaml": {
            **_KUSTOMIZATION,
            "namespace": settings.namespace,
            "resources": ["master.yaml"],
            "configMapGenerator": [{"name": maker.of("study"), "files": files}],
            "secretGenerator": [
                {"name": maker.of(side), "files": [f"{CREDENTIALS_FOLDER}/{name}" for name in names]}
                for side, names in secrets.items()
            ],
        },
        "base/master.yaml": [maker.volume(), maker.service(), maker.master()],
        "deployment/kustomization.yaml": maker.overlay(),
        "deployment/workers.yaml": maker.deployment(n_workers),
        "job/kustomization.yaml": maker.overlay(),
        "job/workers.yaml": maker.job(n_workers),
    }


_KUSTOMIZATION: Mapping[str, Any] = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization"}


class _Maker:
    """Makes the objects of one study."""

    def __init__(self, study: str, settings: Kubernetes, slots: int) -> None:
        self._study = study
        self._slots = slots
        self._settings = settings

    def of(self, part: str) -> str:
        """Name of one object."""
        return f"{base_name(self._study)}-{part}"

    def overlay(self) -> Manifest:
        """A kustomization that adds workers to the master."""
        return {**_KUSTOMIZATION, "namespace": self._settings.namespace, "resources": ["../base", "workers.yaml"]}

    def volume(self) -> Manifest:
        """The claim for the run directory."""
        claim: Manifest = {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": self._settings.storage}},
        }
        if self._settings.storage_class is not None:
            claim["storageClassName"] = self._settings.storage_class
        return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", **self._head("master"), "spec": claim}

    def service(self) -> Manifest:
        """The name by which workers find the master."""
        spec = {"selector": self._labels("master"), "ports": [{"name": "pyro", "port": PORT, "targetPort": "pyro"}]}
        return {"apiVersion": "v1", "kind": "Service", **self._head("master"), "spec": spec}

    def master(self) -> Manifest:
        """The Job of the master."""
        probe = {
            "exec": {"command": ["bohb-master", "health", _RUN, f"--credentials={_HELD}/admin"]},
            "periodSeconds": 10,
            "timeoutSeconds": 10,
        }
        metrics = self._settings.metrics_port
        container = {
            "name": "master",
            "command": [
                "bohb-master",
                "run",
                f"/study/{STUDY_FILE}",
                f"--run-dir={_RUN}",
                f"--host={self.of('master')}",
                "--bind=0.0.0.0",
                f"--port={PORT}",
                f"--credentials={_HELD}/master",
                "--log-json",
                *([] if metrics is None else [f"--metrics=0.0.0.0:{metrics}"]),
            ],
            "ports": [
                {"name": "pyro", "containerPort": PORT},
                *([] if metrics is None else [{"name": "metrics", "containerPort": metrics}]),
            ],
            "startupProbe": {**probe, "failureThreshold": 30},
            "readinessProbe": probe,
            "livenessProbe": {**probe, "failureThreshold": 6},
            "resources": {"requests": {"cpu": "500m", "memory": "512Mi"}, "limits": {"memory": "2Gi"}},
        }
        pod = self._pod(container, ("master", "admin"), claim=self.of("master"))
        about: Manifest = {"labels": self._labels("master")}
        if metrics is not None:
            about["annotations"] = {"prometheus.io/scrape": "true", "prometheus.io/port": str(metrics)}
        rules = [_IGNORE_DISRUPTION, _fail_on(*FINAL)]
        spec = {
            "backoffLimit": _MANY,
            "podReplacementPolicy": "Failed",
            "podFailurePolicy": {"rules": rules},
            "template": {"metadata": about, "spec": {**pod, "restartPolicy": "Never"}},
        }
        return {"apiVersion": "batch/v1", "kind": "Job", **self._head("master"), "spec": spec}

    def deployment(self, n_workers: int) -> Manifest:
        """Workers that are there until they are deleted; scale them as you like."""
        spec = {
            "replicas": n_workers,
            "selector": {"matchLabels": self._labels("worker")},
            "template": {"metadata": {"labels": self._labels("worker")}, "spec": self._worker()},
        }
        return {"apiVersion": "apps/v1", "kind": "Deployment", **self._head("worker"), "spec": spec}

    def job(self, n_workers: int) -> Manifest:
        """Workers that end with the study: once one has been told that, pods that come too late are not waited for."""
        again = {
            "action": "Ignore",
            "onExitCodes": {
                "containerName": "worker",
                "operator": "In",
                "values": [int(ExitCode.TRY_AGAIN), int(ExitCode.TERMINATED)],
            },
        }
        spec = {
            "completionMode": "Indexed",
            "completions": n_workers,
            "parallelism": n_workers,
            "backoffLimit": _MANY,
            "successPolicy": {"rules": [{"succeededCount": 1}]},
            "podReplacementPolicy": "Failed",
            "podFailurePolicy": {"rules": [_IGNORE_DISRUPTION, again, _fail_on(ExitCode.USAGE)]},
            "template": {
                "metadata": {"labels": self._labels("worker")},
                "spec": {**self._worker(), "restartPolicy": "Never"},
            },
        }
        return {"apiVersion": "batch/v1", "kind": "Job", **self._head("worker"), "spec": spec}

    def _worker(self) -> Manifest:
        container: Manifest = {
            "name": "worker",
            "command": [
                "bohb-worker",
                f"--nameserver={self.of('master')}:{PORT}",
                f"--study={self._study}",
                f"--credentials={_HELD}/worker",
                "--scratch=/scratch",
                "--name=$(POD_NAME)",
                f"--preempt-grace={max(0, self._settings.grace_seconds - _LEAVING_SECONDS)}",
                "--log-json",
                *slot_arguments(self._slots),
            ],
            "env": [{"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
        }
        if self._settings.resources:
            # Limits equal to requests: what a worker was promised is its own, and devices must be given so.
            container["resources"] = {"requests": self._settings.resources, "limits": self._settings.resources}
        pod = self._pod(container, ("worker",))
        for key, value in (
            ("nodeSelector", self._settings.node_selector),
            ("tolerations", self._settings.tolerations),
            ("priorityClassName", self._settings.priority_class),
        ):
            if value:
                pod[key] = value
        return pod

    def _pod(self, container: Manifest, sides: tuple[str, ...], claim: str | None = None) -> Manifest:
        """A pod that is not root's and holds credentials that nobody else can read.

        Secrets are mounted as root's and for a group to read; the commands refuse such files, so each pod makes its
        own copy, in memory.
        """
        kept = (
            {"name": "runs", "persistentVolumeClaim": {"claimName": claim}}
            if claim
            else {"name": "runs", "emptyDir": {}}
        )
        copying = " && ".join(
            ["umask 077", *(f"mkdir -p {_HELD}/{side} && cp -L /secrets/{side}/* {_HELD}/{side}/" for side in sides)]
        )
        hardened = {
            "image": self._settings.image,
            "securityContext": {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            },
        }
        held = {"name": "credentials", "mountPath": _HELD}
        return {
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": self._settings.grace_seconds,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": _USER,
                "runAsGroup": _USER,
                "fsGroup": _USER,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "initContainers": [
                {
                    "name": "credentials",
                    "command": ["sh", "-c", copying],
                    **hardened,
                    "volumeMounts": [
                        *({"name": side, "mountPath": f"/secrets/{side}", "readOnly": True} for side in sides),
                        held,
                    ],
                }
            ],
            "containers": [
                {
                    **container,
                    **hardened,
                    "volumeMounts": [
                        held,
                        {"name": "study", "mountPath": "/study", "readOnly": True},
                        {"name": "runs", "mountPath": "/runs" if claim else "/scratch"},
                        {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108  (of the container)
                    ],
                }
            ],
            "volumes": [
                *({"name": side, "secret": {"secretName": self.of(side), "defaultMode": 0o440}} for side in sides),
                {"name": "credentials", "emptyDir": {"medium": "Memory"}},
                {"name": "study", "configMap": {"name": self.of("study")}},
                kept,
                {"name": "tmp", "emptyDir": {}},
            ],
        }

    def _labels(self, part: str) -> dict[str, str]:
        return {"app.kubernetes.io/name": "bohb-service", "app.kubernetes.io/instance": base_name(self._study),
                "app.kubernetes.io/component": part}  # fmt: skip

    def _head(self, part: str) -> Manifest:
        return {"metadata": {"name": self.of(part), "labels": self._labels(part)}}


_IGNORE_DISRUPTION: Mapping[str, Any] = {
    "action": "Ignore",
    "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}],
}


def _fail_on(*codes: ExitCode) -> Manifest:
    """A rule that does not try again what cannot succeed."""
    return {"action": "FailJob", "onExitCodes": {"operator": "In", "values": [int(code) for code in codes]}}
