"""Devices, labels and slots of a worker."""

import sys
from types import SimpleNamespace

import pytest

from bohb_service.doctor.gpus import judge_gpus
from bohb_service.errors import StudyError
from bohb_service.worker import labels
from bohb_service.worker.control_groups import MemoryGroup
from bohb_service.worker.devices import VISIBLE, visible_devices
from bohb_service.worker.labels import own_cores, own_labels
from bohb_service.worker.nvml import Gpu, GpuReading, read_gpus
from bohb_service.worker.slots import plan_slots


class FakeNVML(SimpleNamespace):
    """The part of ``pynvml`` that is used, with these devices; an error says that there is no driver."""

    class NVMLError(Exception):
        pass

    NVML_DEVICE_MIG_ENABLE = 1

    def __init__(self, uuids=(), *, has_driver=True, parts=None):
        super().__init__(uuids=uuids, has_driver=has_driver, parts=parts or {}, n_open=0)

    def nvmlInit(self):  # noqa: N802
        if not self.has_driver:
            raise self.NVMLError
        self.n_open += 1

    def nvmlShutdown(self):  # noqa: N802
        self.n_open -= 1

    def nvmlDeviceGetCount(self):  # noqa: N802
        return len(self.uuids)

    def nvmlDeviceGetHandleByIndex(self, number):  # noqa: N802
        return number

    def nvmlDeviceGetUUID(self, handle):  # noqa: N802
        return self.uuids[handle] if isinstance(handle, int) else handle

    def nvmlDeviceGetMigMode(self, handle):  # noqa: N802
        if self.uuids[handle] not in self.parts:
            raise self.NVMLError
        return [int(self.parts[self.uuids[handle]] is not None), 0]

    def nvmlDeviceGetMaxMigDeviceCount(self, _handle):  # noqa: N802
        return 7

    def nvmlDeviceGetMigDeviceHandleByIndex(self, handle, number):  # noqa: N802
        if number not in self.parts[self.uuids[handle]]:
            raise self.NVMLError
        return self.parts[self.uuids[handle]][number]

    def nvmlDeviceGetName(self, handle):  # noqa: N802
        return f"Model {handle}"

    def nvmlDeviceGetMemoryInfo(self, handle):  # noqa: N802
        if handle:
            raise self.NVMLError
        return SimpleNamespace(total=1 << 34)

    def nvmlSystemGetDriverVersion(self):  # noqa: N802
        return b"555.1"


@pytest.fixture
def nvml(monkeypatch):
    def install(*uuids, **options):
        fake = FakeNVML(uuids, **options)
        monkeypatch.setitem(sys.modules, "pynvml", fake)
        monkeypatch.delenv(VISIBLE, raising=False)
        return fake

    return install


def test_devices_are_told_by_uuid(nvml):
    fake = nvml("GPU-a", b"GPU-b")

    assert visible_devices() == ("GPU-a", "GPU-b")
    assert read_gpus() == GpuReading((Gpu("GPU-a", "Model 0", 1 << 34), Gpu("GPU-b", "Model 1", 0)), "555.1")
    assert fake.n_open == 0


def test_a_divided_gpu_is_its_parts(nvml):
    nvml("GPU-a", "GPU-b", "GPU-c", parts={"GPU-a": {0: "MIG-x", 4: "MIG-y"}, "GPU-b": None})

    assert visible_devices() == ("MIG-x", "MIG-y", "GPU-b", "GPU-c")
    assert [gpu.whole for gpu in read_gpus().gpus] == ["GPU-a", "GPU-a", "", ""]
    assert [slot.device for slot in plan_slots(2, 1, "w", {})] == ["MIG-x", "MIG-y"]
    assert visible_devices({VISIBLE: "MIG-y,MIG-x,MIG-z"}) == ("MIG-y", "MIG-x")
    assert judge_gpus(read_gpus(), "MIG-x,MIG-y")[-1].found == "MIG-x,MIG-y: workers have 1 GPUs"
    assert judge_gpus(read_gpus(), "MIG-z")[-1].status == "fail"
    assert judge_gpus(read_gpus(), "2")[-1].status == "ok"
    assert judge_gpus(read_gpus(), "3")[-1].status == "fail"


def test_a_process_can_use_one_part_of_a_divided_gpu(nvml):
    nvml("GPU-a", parts={"GPU-a": {0: "MIG-x", 4: "MIG-y"}})

    assert own_labels({})["gpu"] == 1


def test_without_a_driver_or_the_package_there_are_none(nvml, monkeypatch):
    nvml(has_driver=False)
    assert visible_devices() == ()
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert visible_devices() == ()


@pytest.mark.parametrize(
    ("given", "devices"),
    [
        ("0", ("0",)),
        ("GPU-x, 3", ("GPU-x", "3")),
        ("nonsense", ()),
        ("0,nonsense,1", ("0",)),
        ("MIG-x", ("MIG-x",)),
        ("", ()),
        ("-1", ()),
        ("NoDevFiles", ()),
        ("1,-1,2", ("1",)),
        ("0,0,1", ("0", "1")),
    ],
)
def test_what_is_set_already_is_believed_where_no_driver_is(nvml, given, devices):
    nvml(has_driver=False)

    assert visible_devices({VISIBLE: given}) == devices


@pytest.mark.parametrize(
    ("given", "devices"),
    [
        ("1,0", ("1", "0")),
        ("GPU-b", ("GPU-b",)),
        ("GPU-", ()),
        ("MIG-x", ()),
        ("0,2,1", ("0",)),
        ("GPU-x,0", ()),
        ("x", ()),
    ],
)
def test_what_is_set_already_is_cut_where_cuda_would_cut_it(nvml, given, devices):
    nvml("GPU-a", "GPU-b")

    assert visible_devices({VISIBLE: given}) == devices


def test_a_worker_knows_its_machine_but_believes_what_it_is_told(nvml, monkeypatch, tmp_path):
    nvml("GPU-a")
    (tmp_path / "memory.max").write_text(f"{512 << 20}\n")
    groups = [MemoryGroup(tmp_path, is_unified=True), MemoryGroup(tmp_path / "none", is_unified=True)]
    monkeypatch.setattr(labels, "memory_groups", lambda: groups)

    assert own_labels({"kind": "a100"}) == {
        "gpu": 1,
        "cpus": own_cores(),
        "memory_mb": 512,
        "kind": "a100",
    }
    assert own_labels({"gpu": 7, "cpus": 5, "memory_mb": 100}) == {"gpu": 7, "cpus": 5, "memory_mb": 100}


def test_slots_get_a_device_each_and_shares_of_the_rest(nvml):
    nvml("GPU-a", "GPU-b")
    one, two = plan_slots(2, 1, "w", {"cpus": 6, "memory_mb": 1001})

    assert (one.name, one.device, two.name, two.device) == ("w.0", "GPU-a", "w.1", "GPU-b")
    assert one.labels == {"gpu": 1, "cpus": 6, "memory_mb": 1001}


def test_slots_take_labels_that_are_texts(nvml):
    nvml("GPU-a", "GPU-b")
    one, _ = plan_slots(2, 1, "w", {"kind": "a100", "memory_mb": "plenty", "cpus": "all"})

    assert one.labels == {"gpu": 1, "kind": "a100", "memory_mb": "plenty", "cpus": "all"}


def test_several_slots_share_a_device_on_request_alone(nvml):
    nvml("GPU-a", "GPU-b")

    assert [slot.device for slot in plan_slots(4, 2, "w", {})] == ["GPU-a", "GPU-b"] * 2
    with pytest.raises(StudyError, match="--slots 3: 2 devices with 1 slot each; ask for at most 2, or let"):
        plan_slots(3, 1, "w", {})


def test_slots_without_devices_share_cores_and_memory(nvml):
    nvml()
    whole = own_labels({})
    slots = plan_slots(3, 1, "w", {})

    assert [slot.device for slot in slots] == [None] * 3
    assert slots[0].labels == {
        "gpu": 0,
        "cpus": max(1, whole["cpus"] // 3),
        "memory_mb": whole["memory_mb"] // 3,
    }
