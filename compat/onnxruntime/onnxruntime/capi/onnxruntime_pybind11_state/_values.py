# SPDX-License-Identifier: Apache-2.0
"""OrtValue, lists of them and sparse tensors. A value is what sardonyx takes and gives (an array, a list, a dict)
together with its type in ONNX's notation; tensors share their memory with the array they were made of.
Read next: _session.py."""
import ctypes
import re

import numpy as np
import sardonyx

from ._devices import OrtDevice
from ._enums import OrtAllocatorType, OrtSparseFormat
from ._errors import error
from ._native import Opaque, exported, native, reading

_NAMES = {number: name for name, (number, _) in sardonyx.ELEMENT_TYPES.items()}
_NAME_OF_DTYPE = {}
for _name, (_number, _dtype) in sorted(sardonyx.ELEMENT_TYPES.items(), key=lambda item: item[1][0]):
    _NAME_OF_DTYPE.setdefault(_dtype, _name)  # types that numpy lacks may be shown as integers: those come first
_ONLY_NUMBERS = "Creation of OrtValues is currently only supported from non-string numpy arrays"
_ONLY_TENSORS = "Only OrtValues that are Tensors are currently supported"


def refuse_other_devices(device, by_vendor=False):
    """Memory of other devices cannot be had."""
    if device.device_type() == 0:
        return
    if by_vendor and device.vendor_id() == 0x10DE:
        raise RuntimeError("Can't allocate memory on the CUDA device using this package of OnnxRuntime. Please use the "
                           "CUDA package of OnnxRuntime to use this feature.")
    raise RuntimeError("Can't allocate memory on the device using this package of OnnxRuntime. Please use the "
                       "appropriate package of OnnxRuntime for your hardware to use this feature.")


def array_at(address, dtype, shape, owner=None):
    """The array over memory that someone else owns; `owner` is kept alive with it."""
    count = int(np.prod(shape, dtype=np.int64))
    buffer = (ctypes.c_char * (count * dtype.itemsize)).from_address(address)
    buffer.owner = owner
    return np.frombuffer(buffer, dtype, count).reshape(shape)


def element_type_of(array):
    """ONNX's name for an array's type."""
    if array.dtype.kind in "OUS":
        return "string"
    name = _NAME_OF_DTYPE.get(array.dtype.newbyteorder("="))
    if name is None:
        raise RuntimeError(f"Numpy_type {array.dtype.num} can't be converted to MLDataType.")
    return name


class _Capsule:
    """A DLPack capsule as something numpy takes."""

    def __init__(self, capsule):
        self.capsule = capsule

    def __dlpack__(self, **_):
        return self.capsule

    def __dlpack_device__(self):
        return 1, 0


def _array_of_capsule(capsule):
    try:
        array = np.from_dlpack(_Capsule(capsule))
    except (TypeError, AttributeError, ValueError):
        raise TypeError("from_dlpack expected a valid DLPack capsule named 'dltensor'") from None
    if not array.flags.writeable and array.size:  # numpy's caution about capsules without a version
        array = array_at(array.ctypes.data, array.dtype, array.shape, array)
    return array


def allocate(shape, dtype):
    """A tensor of zeros."""
    if any(d < 0 for d in shape):
        raise RuntimeError(str(error("Fail", "Tensor shape.Size() must be >= 0")))
    return np.zeros(tuple(map(int, shape)), dtype)


def of_number(number):
    """(name, numpy type) of an element type of ONNX."""
    if number not in _NAMES:
        raise RuntimeError(f"tensor type {number} is not supported")
    return _NAMES[number], sardonyx.ELEMENT_TYPES[_NAMES[number]][1]


@exported
class OrtValue(Opaque):
    """A tensor, sparse tensor, sequence or map. None is the optional that is empty."""

    __slots__ = ("_data", "_type", "__weakref__")

    @classmethod
    def _of(cls, data, onnx_type):
        """data: as sardonyx takes and gives it; onnx_type: as NodeArg.type."""
        return cls._made(data=data, type=onnx_type)

    @staticmethod
    @native
    def ortvalue_from_numpy(arg0: "object", arg1: "OrtDevice") -> "OrtValue":
        """A tensor over the array's memory, if that is dense."""
        if not isinstance(arg0, np.ndarray) or arg0.dtype.kind not in "biufcV":
            raise RuntimeError(_ONLY_NUMBERS)
        refuse_other_devices(arg1)
        return OrtValue._of(np.require(arg0, None, "C"), f"tensor({element_type_of(arg0)})")

    @staticmethod
    @native
    def ortvalue_from_numpy_with_onnx_type(arg0: "array", arg1: "int") -> "OrtValue":
        """A tensor over the array's memory, its elements taken as another type of their size."""
        if arg1 not in _NAMES:
            raise RuntimeError(f"Not a valid ONNX Tensor data type: {arg1}")
        name, dtype = of_number(arg1)
        if name == "string" or arg0.dtype.itemsize != dtype.itemsize:
            size = 32 if name == "string" else dtype.itemsize
            raise RuntimeError(f"Items size in the incoming array: {arg0.dtype.itemsize} specified by onnxtype: {size}")
        return OrtValue._of(np.require(arg0, None, "C").view(dtype), f"tensor({name})")

    @staticmethod
    @native
    def ortvalue_from_shape_and_type(arg0: "Sequence[int]", arg1: "object", arg2: "OrtDevice") -> "OrtValue":
        """A tensor of zeros: shape, numpy type, device."""
        dtype = np.dtype(arg1)
        if dtype.kind not in "biufcV":
            raise RuntimeError(_ONLY_NUMBERS)
        refuse_other_devices(arg2, by_vendor=True)
        array = allocate(arg0, dtype)
        return OrtValue._of(array, f"tensor({element_type_of(array)})")

    @staticmethod
    @native
    def ortvalue_from_shape_and_onnx_type(arg0: "Sequence[int]", arg1: "int", arg2: "OrtDevice") -> "OrtValue":
        """A tensor of zeros: shape, ONNX's number of the element type, device."""
        name, dtype = of_number(arg1)
        refuse_other_devices(arg2, by_vendor=True)
        return OrtValue._of(allocate(arg0, dtype), f"tensor({name})")

    @staticmethod
    @native
    def ortvalue_from_shape_and_type_for_memory_info(arg0: "Sequence[int]", arg1: "object",
                                                     arg2: "OrtMemoryInfo") -> "OrtValue":
        """A tensor of zeros: shape, numpy type, memory."""
        return OrtValue.ortvalue_from_shape_and_type(arg0, arg1, _device_of(arg2))

    @staticmethod
    @native
    def ortvalue_from_shape_and_onnx_type_for_memory_info(arg0: "Sequence[int]", arg1: "int",
                                                          arg2: "OrtMemoryInfo") -> "OrtValue":
        """A tensor of zeros: shape, ONNX's number of the element type, memory."""
        return OrtValue.ortvalue_from_shape_and_onnx_type(arg0, arg1, _device_of(arg2))

    @staticmethod
    @native
    def ort_value_from_sparse_tensor(arg0: "SparseTensor") -> "OrtValue":
        """The value that holds a sparse tensor."""
        return OrtValue._of(arg0, arg0.data_type())

    @staticmethod
    @native
    def from_dlpack(data: "object") -> "OrtValue":
        """A tensor over the memory of a DLPack capsule."""
        array = _array_of_capsule(data)
        return OrtValue._of(array, f"tensor({element_type_of(array)})")

    def _tensor(self, refusal=_ONLY_TENSORS):
        if not self.is_tensor():
            raise RuntimeError(refusal)
        return self._data

    @native
    def data_ptr(self) -> "int":
        """Address of the first element."""
        return self._tensor().ctypes.data

    @native
    def data_type(self) -> "str":
        """The type in ONNX's notation."""
        return self._type

    @native
    def element_type(self) -> "int":
        """ONNX's number of the element type of a tensor or of the tensors in a sequence."""
        inner = re.search(r"tensor\((\w+)\)", self._type)
        if not inner or "map(" in self._type:
            raise RuntimeError(_ONLY_TENSORS)
        return sardonyx.ELEMENT_TYPES[inner[1]][0]

    @native
    def device_name(self) -> "str":
        """'Cpu'"""
        if not self.is_tensor() and not self.is_sparse_tensor():
            raise RuntimeError("Only OrtValues that are Tensors/SparseTensors are currently supported")
        return "Cpu"

    @native
    def shape(self) -> "list":
        """The dimensions."""
        if self.is_sparse_tensor():
            return self._data.dense_shape()
        return list(self._tensor("Only OrtValues that are Tensors/SpareTensors are currently supported").shape)

    @native
    def tensor_size_in_bytes(self) -> "int":
        """Bytes of the elements."""
        return self._tensor().nbytes

    @native
    def has_value(self) -> "bool":
        """False for an optional that is empty."""
        return self._data is not None

    @native
    def is_tensor(self) -> "bool":
        """Whether it is a tensor."""
        return isinstance(self._data, np.ndarray)

    @native
    def is_sparse_tensor(self) -> "bool":
        """Whether it is a sparse tensor."""
        return isinstance(self._data, SparseTensor)

    @native
    def is_tensor_sequence(self) -> "bool":
        """Whether it is a sequence of tensors."""
        return self._type.startswith("seq(tensor(")

    @native
    def as_sparse_tensor(self) -> "SparseTensor":
        """The sparse tensor it holds."""
        if not self.is_sparse_tensor():
            raise RuntimeError("This OrtValue does not contain SparseTensor. Check data_type() value.")
        return self._data

    @native
    def numpy(self) -> "object":
        """The tensor as an array, over the same memory."""
        return self._tensor("Only OrtValues that are Tensors are convertible to Numpy objects")

    def _update_from_array(self, arg0: "array") -> None:
        target = self._tensor()
        if arg0.size != target.size:
            raise RuntimeError("The input size of numpy arrays does not match the size of the OrtValue.")
        np.copyto(target, np.asarray(arg0, target.dtype).reshape(target.shape))

    def _update_from_value(self, arg0: "OrtValue") -> None:
        if arg0.data_type() != self.data_type():
            raise RuntimeError("The source and destination OrtValues must have the same data type")
        if arg0._tensor().size != self._tensor().size:
            raise RuntimeError("The source and destination OrtValues must have the same size")
        np.copyto(self._data, arg0._data.reshape(self._data.shape))

    update_inplace = native(_update_from_array, _update_from_value)

    @native
    def to_dlpack(self) -> "object":
        """A DLPack capsule over the tensor's memory."""
        return self._tensor().__dlpack__()

    @native
    def __dlpack__(self, stream: "object" = None) -> "object":
        """A DLPack capsule over the tensor's memory."""
        return self._tensor().__dlpack__()

    @native
    def __dlpack_device__(self) -> "tuple":
        """(1, 0): the processor."""
        return self._tensor().__dlpack_device__()

    @native
    def _is_webgpu_buffer(self) -> "bool":
        return False


def _device_of(memory):
    """The device of a memory that can be allocated from: that of the processor without an arena."""
    if memory.name == "Cpu" and memory.allocator_type == OrtAllocatorType.ORT_DEVICE_ALLOCATOR:
        return OrtDevice(OrtDevice.cpu(), OrtDevice.default_memory(), 0)
    raise RuntimeError(f"No shared allocator found for: OrtMemoryInfo:[name:{memory.name} "
                       f"OrtMemType:{memory.mem_type.value} OrtAllocatorType:{memory.allocator_type.value} "
                       f"Device:[DeviceType:0 MemoryType:{memory.device_mem_type.value} "
                       f"VendorId:{memory.device_vendor_id} DeviceId:{memory.device_id} Alignment:0]]")


@exported
class OrtValueVector:
    """A list of OrtValue."""

    __slots__ = ("_items", "__weakref__")

    def __init__(self) -> None:
        self._items = []

    __init__ = native(__init__)

    def _push_value(self, arg0: "OrtValue") -> None:
        self._items.append(arg0)

    def _push_capsule(self, dlpack_tensor: "object") -> None:
        """Adds a value, or the tensor of a DLPack capsule."""
        self._items.append(OrtValue.from_dlpack(dlpack_tensor))

    push_back = native(_push_value, _push_capsule)

    @native
    def push_back_batch(self, arg0: "Sequence[object]", arg1: "Sequence[size]", arg2: "Sequence[object]",
                        arg3: "Sequence[Sequence[size]]", arg4: "Sequence[OrtDevice]") -> None:
        """Adds tensors over memory of others: objects to keep, addresses, numpy types, shapes, devices."""
        for owner, address, dtype, shape, device in zip(arg0, arg1, arg2, arg3, arg4):
            refuse_other_devices(device)
            array = array_at(address, np.dtype(dtype), shape, owner)
            self._items.append(OrtValue._of(array, f"tensor({element_type_of(array)})"))

    @native
    def reserve(self, arg0: "size") -> None:
        """Nothing to reserve."""

    @native
    def shrink_to_fit(self) -> None:
        """Nothing to shrink."""

    @native
    def element_type_at(self, idx: "size") -> "int":
        """ONNX's number of the element type of a value."""
        return self[idx].element_type()

    @native
    def dlpack_at(self, arg0: "size") -> "object":
        """A DLPack capsule over a value's memory."""
        return self[arg0].to_dlpack()

    @native
    def to_dlpacks(self, to_tensor: "object") -> "list":
        """DLPack capsules of all values, each given to a function if there is one."""
        capsules = [item.to_dlpack() for item in self._items]
        return capsules if to_tensor is None else [to_tensor(capsule) for capsule in capsules]

    @native
    def __len__(self) -> "int":
        return len(self._items)

    @native
    def __getitem__(self, arg0: "size") -> "OrtValue":
        if not 0 <= arg0 < len(self._items):
            raise IndexError(f"vector::_M_range_check: __n (which is {arg0}) >= this->size() (which is "
                             f"{len(self._items)})")
        return self._items[arg0]

    @native
    def __iter__(self) -> "collections.abc.Iterator[OrtValue]":
        return iter(self._items)


@exported
class SparseCooView(Opaque):
    """Where the elements of a sparse tensor are."""

    __slots__ = ("_indices",)

    @native
    def indices(self: "object") -> "array":
        """Positions in the flat tensor, or one row of coordinates an element."""
        return self._indices


@exported
class SparseBlockSparseView(Opaque):
    """Where the blocks of a sparse tensor are."""

    __slots__ = ("_indices",)

    @native
    def indices(self: "object") -> "array":
        """Coordinates of the blocks."""
        return self._indices


@exported
class SparseCsrView(Opaque):
    """Where the elements of a sparse matrix are."""

    __slots__ = ("_inner", "_outer")

    @native
    def inner(self: "object") -> "array":
        """Column of each element."""
        return self._inner

    @native
    def outer(self: "object") -> "array":
        """Where each row begins, and the end."""
        return self._outer


@exported
class SparseTensor(Opaque):
    """A tensor of which only some elements are kept. It can be made and read; models take none."""

    __slots__ = ("_format", "_shape", "_values", "_view", "__weakref__")
    format = reading("format", "OrtSparseFormat")

    @classmethod
    def _kept(cls, sparse_format, shape, values, view, device):
        refuse_other_devices(device)
        if values.dtype.kind in "US":
            values = values.astype(object)
        element_type_of(values)
        return cls._made(format=sparse_format, shape=[int(d) for d in shape], values=values, view=view)

    @staticmethod
    @native
    def sparse_coo_from_numpy(arg0: "Sequence[size]", arg1: "array", arg2: "int64s",
                              arg3: "OrtDevice") -> "SparseTensor":
        """dense shape, values, indices, device"""
        indices, count = np.asarray(arg2, np.int64), arg1.size
        if indices.size not in (count, 2 * count):
            raise RuntimeError("Index size: "
                               f"{indices.size} must be equal to or twice the values size: {count}")
        return SparseTensor._kept(OrtSparseFormat.ORT_SPARSE_COO, arg0, arg1, SparseCooView._made(indices=indices),
                                  arg3)

    @staticmethod
    @native
    def sparse_csr_from_numpy(arg0: "Sequence[size]", arg1: "array", arg2: "int64s", arg3: "int64s",
                              arg4: "OrtDevice") -> "SparseTensor":
        """dense shape, values, columns, begins of rows, device"""
        inner, outer = np.asarray(arg2, np.int64), np.asarray(arg3, np.int64)
        if inner.size != arg1.size:
            raise RuntimeError(str(error("Fail", "Expecting inner index size to match the values size: "
                                         f"{arg1.size}. Got: {inner.size}")))
        if outer.size not in (0, arg0[0] + 1):
            raise RuntimeError(str(error("Fail", "Outer index count must be rows + 1 or zero. Got: "
                                         f"{outer.size} rows: {arg0[0]}")))
        return SparseTensor._kept(OrtSparseFormat.ORT_SPARSE_CSRC, arg0, arg1,
                                  SparseCsrView._made(inner=inner, outer=outer), arg4)

    @staticmethod
    @native
    def blocksparse_from_numpy(arg0: "Sequence[size]", arg1: "array", arg2: "int32s",
                               arg3: "OrtDevice") -> "SparseTensor":
        """dense shape, blocks, their coordinates, device"""
        return SparseTensor._kept(OrtSparseFormat.ORT_SPARSE_BLOCK_SPARSE, arg0, arg1,
                                  SparseBlockSparseView._made(indices=np.asarray(arg2, np.int32)), arg3)

    @native
    def values(self: "object") -> "array":
        """The elements that are kept."""
        return self._values

    @native
    def dense_shape(self) -> "list":
        """The dimensions."""
        return self._shape

    @native
    def data_type(self) -> "str":
        """The type in ONNX's notation."""
        return f"sparse_tensor({element_type_of(self._values)})"

    @native
    def device_name(self) -> "str":
        """'Cpu'"""
        return "Cpu"

    def _view_of(self, sparse_format, name):
        if self._format != sparse_format:
            raise RuntimeError(f"This sparse tensor does not contain {name} format")
        return self._view

    @native
    def get_coo_data(self) -> "SparseCooView":
        """Where the elements are."""
        return self._view_of(OrtSparseFormat.ORT_SPARSE_COO, "COO")

    @native
    def get_csrc_data(self) -> "SparseCsrView":
        """Where the elements are."""
        return self._view_of(OrtSparseFormat.ORT_SPARSE_CSRC, "CSR(C)")

    @native
    def get_blocksparse_data(self) -> "SparseBlockSparseView":
        """Where the blocks are."""
        return self._view_of(OrtSparseFormat.ORT_SPARSE_BLOCK_SPARSE, "BlockSparse")

    @native
    def to_cuda(self, arg0: "OrtDevice") -> None:
        """Refused: there is no such device."""
        raise RuntimeError("Cuda is not available in this build")
