# SPDX-License-Identifier: Apache-2.0
"""Devices, memories and providers. Sardonyx computes on the processor; other devices are only named."""
import platform

from ._enums import OrtAllocatorType, OrtDeviceMemoryType, OrtHardwareDeviceType, OrtMemType
from ._errors import error
from ._native import Opaque, exported, native, reading

PROVIDERS = ("CPUExecutionProvider",)
# Those that ONNX Runtime may be built with, which programs name in their lists.
KNOWN_PROVIDERS = tuple(name + "ExecutionProvider" for name in (
    "Tensorrt", "CUDA", "MIGraphX", "OpenVINO", "Dnnl", "VitisAI", "QNN", "Nnapi", "VSINPU", "Js", "CoreML", "Dml",
    "Rknpu", "WebNN", "WebGpu", "Xnnpack", "CANN", "Azure", "CPU"))
_VENDORS = {"GenuineIntel": ("Intel", 0x8086), "AuthenticAMD": ("AMD", 0x1022)}


@exported
class OrtDevice:
    """A device: kind, memory, vendor and number."""

    __slots__ = ("_type", "_memory", "_vendor", "_number")

    def _of_vendor(self, arg0: "int", arg1: "int", arg2: "int", arg3: "int") -> None:
        self._type, self._memory, self._vendor, self._number = map(int, (arg0, arg1, arg2, arg3))

    def _of_no_vendor(self, arg0: "int", arg1: "int", arg2: "int") -> None:
        self._type, self._memory, self._vendor, self._number = int(arg0), int(arg1), 0, int(arg2)

    __init__ = native(_of_vendor, _of_no_vendor)

    @native
    def device_id(self) -> "int":
        """Number of the device."""
        return self._number

    @native
    def device_type(self) -> "int":
        """Kind of the device."""
        return self._type

    @native
    def vendor_id(self) -> "int":
        """Vendor of the device."""
        return self._vendor

    @native
    def mem_type(self) -> "int":
        """Kind of its memory."""
        return self._memory


def _constant(name, value):
    def of_class() -> "int":
        return value

    of_class.__name__ = name
    return staticmethod(native(of_class))


for _name, _value in (("cpu", 0), ("cuda", 1), ("gpu", 1), ("webgpu", 1), ("fpga", 2), ("npu", 3), ("cann", 3),
                      ("dml", 4), ("default_memory", 0)):
    setattr(OrtDevice, _name, _constant(_name, _value))


@exported
class OrtMemoryInfo:
    """A memory: name, kind of allocator, device."""

    __slots__ = ("_name", "_allocator_type", "_device_id", "_mem_type", "_device_mem_type", "_device_vendor_id")

    def __init__(self, arg0: "str", arg1: "OrtAllocatorType", arg2: "int", arg3: "OrtMemType") -> None:
        if arg0 not in ("Cpu", "Cuda", "CudaPinned", "Cann", "DML", "WebGPU_Buf"):
            raise RuntimeError("Specified device is not supported. Try CreateMemoryInfo_V2.")
        self._set(arg0, arg1, arg2, arg3, OrtDeviceMemoryType.DEFAULT, 0)

    __init__ = native(__init__)

    def _set(self, name, allocator_type, device_id, mem_type, device_mem_type, vendor):
        self._name, self._allocator_type, self._device_id, self._mem_type = name, allocator_type, device_id, mem_type
        self._device_mem_type, self._device_vendor_id = device_mem_type, vendor

    @staticmethod
    @native
    def create_v2(arg0: "str", arg1: "OrtMemoryInfoDeviceType", arg2: "int", arg3: "int", arg4: "OrtDeviceMemoryType",
                  arg5: "size", arg6: "OrtAllocatorType") -> "OrtMemoryInfo":
        """name, device, vendor, device's number, memory, alignment, allocator"""
        made = object.__new__(OrtMemoryInfo)
        made._set(arg0, arg6, arg3, OrtMemType.DEFAULT, arg4, arg2)
        return made

    name = reading("name", "Name")
    allocator_type = reading("allocator_type", "Kind of allocator")
    device_id = reading("device_id", "Number of the device")
    mem_type = reading("mem_type", "Kind of memory")
    device_mem_type = reading("device_mem_type", "Whether the host can reach it")
    device_vendor_id = reading("device_vendor_id", "Vendor of the device")


CPU_MEMORY = OrtMemoryInfo("Cpu", OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, OrtMemType.DEFAULT)


@exported
class OrtHardwareDevice(Opaque):
    """A device of this machine."""

    __slots__ = ("_type", "_vendor", "_vendor_id", "_device_id", "_metadata")
    type = reading("type", "OrtHardwareDeviceType")
    vendor = reading("vendor", "Name of the vendor")
    vendor_id = reading("vendor_id", "Number of the vendor")
    device_id = reading("device_id", "Number of the device")
    metadata = reading("metadata", "More about it, {str: str}")


@exported
class OrtSyncStream(Opaque):
    """A stream of a device; the processor has none."""

    __slots__ = ()

    @native
    def get_handle(self) -> "int":
        """Handle of the stream."""
        return 0


@exported
class OrtEpDevice(Opaque):
    """A device and the provider that computes on it."""

    __slots__ = ("_ep_name", "_ep_vendor", "_ep_metadata", "_ep_options", "_device")
    ep_name = reading("ep_name", "Name of the provider")
    ep_vendor = reading("ep_vendor", "Who made the provider")
    ep_metadata = reading("ep_metadata", "More about the provider, {str: str}")
    ep_options = reading("ep_options", "Its options for the device, {str: str}")
    device = reading("device", "OrtHardwareDevice")

    @native
    def memory_info(self, arg0: "OrtDeviceMemoryType") -> "OrtMemoryInfo":
        """None: the processor needs none of its own."""

    @native
    def create_sync_stream(self) -> "OrtSyncStream":
        """Refused: the processor has no streams."""
        raise error("InvalidArgument", "The execution provider does not support creating a stream for this device.")


def _vendor_of_processor():
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as lines:
            name = next((line.split(":")[1].strip() for line in lines if line.startswith("vendor_id")), "")
    except OSError:
        name = ""
    return _VENDORS.get(name, (name or platform.machine(), 0))


def processor():
    """This machine's processor as OrtHardwareDevice."""
    vendor, number = _vendor_of_processor()
    return OrtHardwareDevice._made(type=OrtHardwareDeviceType.CPU, vendor=vendor, vendor_id=number, device_id=0,
                                   metadata={})


def devices(version):
    """OrtEpDevice of all there is."""
    return [OrtEpDevice._made(ep_name=PROVIDERS[0], ep_vendor="Sardonyx", ep_metadata={"version": version},
                              ep_options={}, device=processor())]
