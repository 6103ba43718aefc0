#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""PyTorch's exported programs against PyTorch's own results: architectures of zoo.py, operators, control flow, both
layouts of the archive.

    tests/pytorch/test_pt2.py [--long] [NAME ...]     only cases whose name contains a NAME; --long: all of zoo.py
"""
import json
import pathlib
import sys
import unittest
import zipfile

import environment

environment.enter()

import numpy as np  # noqa: E402
import torch  # noqa: E402
from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402

import suite  # noqa: E402
import zoo  # noqa: E402
from harness import Model, command, same, scratch  # noqa: E402

CLOSE = 1e-5
A_FEW = ("mobilenet_v3", "shufflenet", "timm ghostnet", "bert", "gpt2", "llama", "unet", "yolo", "detr", "lstm, deep", "audio",
         "recommender", "graph", "generator", "diffusion", "whisper")


class Whole(nn.Module):
    """A function as a module."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, *inputs):
        return self.function(*inputs)


def flat(results):
    return [r.numpy() for r in torch.utils._pytree.tree_flatten(results)[0] if isinstance(r, torch.Tensor)]


def export(module, inputs, dynamic=None):
    return torch.export.export(module, inputs, dynamic_shapes=dynamic)


def save(program, name="net.pt2"):
    torch.export.save(program, scratch(name))
    return scratch(name)


def save_as_before(program):
    """The layout of PyTorch 2.1 to 2.7, made of the parts that the newer one still makes."""
    from torch._export.serde.serialize import serialize
    parts = serialize(program)
    with zipfile.ZipFile(scratch("old.pt2"), "w") as z:
        z.writestr("version", "8.2")
        z.writestr("serialized_exported_program.json", parts.exported_program)
        z.writestr("serialized_state_dict.pt", parts.state_dict)
        z.writestr("serialized_constants.pt", parts.constants)
    return scratch("old.pt2")


def compare(path, module, *several):
    """Of each of several lists of inputs."""
    model = Model(path, distance=CLOSE)
    names = [i.name for i in model.witness.get_inputs()]
    for inputs in several:
        with torch.no_grad():
            wanted = flat(module(*inputs))
        got = model(**dict(zip(names, [i.numpy() for i in inputs])))
        for (name, y), want in zip(got.items(), wanted, strict=True):
            assert y.dtype == want.dtype, f"{name}: {y.dtype}, expected {want.dtype}"
            size = max(1, np.abs(want).max(initial=0)) if want.dtype.kind == "f" else 1
            same(name, y / size if size > 1 else y, want / size if size > 1 else want, CLOSE)
    return model


def longer(inputs, dynamic):
    """The same inputs with one more along each free dimension."""
    if not dynamic:
        return []
    given = []
    for x, free in zip(inputs, dynamic.values()):
        for axis in free or {}:
            x = torch.cat([x, x.narrow(axis, 0, 1)], axis)
        given.append(x)
    return [given]


class Architectures(unittest.TestCase):
    def try_case(self, name):
        module, inputs, dynamic = zoo.ZOO[name]()
        with torch.no_grad():
            path = save(export(module, inputs, dynamic))
        compare(path, module, inputs, *longer(inputs, dynamic))


X, Y, I = torch.randn(2, 3, 4), torch.randn(3, 4) + 3, torch.tensor([2, 0, 1])
IMAGE = torch.randn(2, 4, 9, 8)


def changed(x):
    x = x * 2
    x[:, 0] = 1
    x[..., 1:3] += x[..., 2:4]
    x.view(2, 12)[1].mul_(3)
    x.transpose(1, 2)[0].relu_()
    return x


def put(x, i):
    y = x.clone()
    y[:, i] = 5.0
    y[i[:2] % 2, 0] = x[1, 1]
    y[y > 3] = -1.0
    return y.index_put((i,), x[:1, 0].sum() * torch.ones(3, 4), accumulate=True) if y.shape[0] == 3 else y


# name: function, inputs
OPERATORS = {
    "arithmetic": (lambda x, y: (x + y * 2 - 1, x / y, 3 - x, torch.rsub(x, y, alpha=2), x % 3, x // y, -x ** 2, y ** 0.5, 2 ** x,
                                 torch.div(x, y, rounding_mode="trunc"), torch.fmod(x, y), torch.addcmul(x, x, y, value=0.5)), (X, Y)),
    "whole numbers": (lambda i: (i // 2, i % 2, -i // 2, i + 1.5, i * i, i.float() / 2, i & 1, i | 4, i ^ 3, ~i, i == 1, i.sum(), i.float().mean(),
                                 torch.div(i, 2), i.clamp(1, 2), i.argmax(), (i > 0).sum(), (i > 0).any(), (i > 5).all()), (I,)),
    "functions": (lambda x, y: (x.exp().log1p(), x.expm1(), y.log2(), y.log10(), x.erf(), y.rsqrt(),
                                x.trunc(), x.sign(), x.atan(), torch.atan2(x, y), x.sinh(), x.tan(), x.abs().sqrt(), x.round(), x.ceil()), (X, Y)),
    "activations": (lambda x: (F.gelu(x), F.gelu(x, approximate="tanh"), F.silu(x), F.mish(x), F.hardswish(x), F.hardsigmoid(x), F.elu(x, 0.5),
                               F.celu(x, 0.7), F.selu(x), F.leaky_relu(x, 0.2), F.softplus(x, 2), F.logsigmoid(x), F.hardtanh(x), F.relu6(x),
                               F.softsign(x), F.hardshrink(x), F.softshrink(x), F.threshold(x, 0.1, 2), F.glu(x), F.tanhshrink(x)), (X,)),
    "comparisons": (lambda x, y: (x > y, x <= 0, x != x.round(), torch.where(x > 0, x, y), x.masked_fill(x < 0, 7), torch.maximum(x, y),
                                  x.clamp(min=0.1), x.clamp(-0.5, 0.5), torch.isnan(x), torch.isfinite(x), (x > 0) & (y > 0), ~(x > 0),
                                  (x > 0).float(), torch.clamp(x, max=y), torch.logical_xor(x > 0, y > 3)), (X, Y)),
    "reductions": (lambda x: (x.mean(1), x.sum((0, 2), keepdim=True), x.amax(-1), x.max(1)[0], x.max(1)[1], x.min(), x.prod(2), x.std(1), x.var((1, 2)),
                              x.var(0, correction=0, keepdim=True), x.norm(), x.norm(p=1, dim=1), x.logsumexp(1), x.argmin(1), x.cumsum(2),
                              x.softmax(1), x.log_softmax(-1), torch.linalg.vector_norm(x, 3, 1), *torch.var_mean(x, 1)), (X,)),
    "order": (lambda x: (*x.topk(2), *x.sort(1, descending=True), x.argsort(2), *x.topk(2, 1, largest=False)), (X,)),
    "shapes": (lambda x: (x.reshape(-1, 2), x.permute(2, 0, 1), x.transpose(0, 1), x.unsqueeze(-1), x[:, :1].squeeze(1), x.flatten(1), x.movedim(0, 2),
                          x.unflatten(2, (2, 2)), x.expand(5, 2, 3, 4), x[0].T, x.repeat(2, 1, 1), x.repeat_interleave(2, 1), x.tile(2, 1),
                          x.flip(0, 2), x.roll(1, 1), x.roll((1, -1), (0, 2)), x.unfold(2, 2, 1), x.ravel()),
               (X,)),
    "joining": (lambda x: (torch.cat([x, x], 1), torch.stack([x, x], -1), *x.split(2, 2), *x.chunk(2, 2), *x.unbind(1), *x.split([1, 2], 1),
                           *torch.tensor_split(x, 2, 1)), (X,)),
    "slices": (lambda x: (x[:, 1], x[..., -2:], x[:, ::2], x[0, 1:, :-1], x.narrow(2, 1, 2), x.select(1, -1), x[:, None], x.diagonal(0, 1, 2)), (X,)),
    "indices": (lambda x, i: (x[:, i], x[i % 2], x[i % 2, i], x[:, i, i], x[i % 2, :, i], x.index_select(1, i), x.gather(2, i.view(1, 3, 1).expand(2, 3, 1)),
                              F.embedding(i, x[0]), F.one_hot(i, 4), x[0][i > 0], torch.take_along_dim(x, i.view(1, 3, 1), 2)), (X, I)),
    "changes by index": (put, (X, I)),
    "scattered": (lambda x, i: (x.scatter(1, i.view(1, 3, 1).expand(2, 3, 4), 1.0), x.scatter_add(1, i.view(1, 3, 1).expand(2, 3, 4), x),
                                x.index_add(1, i, x, alpha=2)), (X, I)),
    "changes in place": (changed, (X,)),
    "made": (lambda x: (torch.arange(5), torch.arange(1, 2, 0.25), torch.zeros(2, 2), torch.ones_like(x), torch.full((2,), 7), x.new_zeros(3), torch.eye(3),
                        torch.linspace(0, 1, 5), torch.tril(x), torch.triu(x, 1), *torch.meshgrid(torch.arange(2), torch.arange(3), indexing="xy"),
                        torch.tensor([1.5, 2]) + x.sum(), torch.tril_indices(3, 3)), (X,)),
    "products": (lambda x, y: (x @ y.T, torch.bmm(x, x.mT), torch.einsum("bij,kj->bki", x, y), torch.addmm(y[:, :3], x[0], y.T, beta=0.5, alpha=2),
                               torch.outer(x[0, 0], y[0]), torch.dot(x[0, 0], y[0]), torch.mv(y, x[0, 0]), torch.baddbmm(x, x, torch.ones(2, 4, 4))), (X, Y)),
    "pads": (lambda x: (F.pad(x, (1, 2, 0, 1)), F.pad(x, (1, 1, 2, 1), mode="reflect"), F.pad(x, (0, 1, 1, 0), mode="replicate"),
                        F.pad(x, (1, -1), value=3.0), F.pad(x, (1, 1, 1, 1), mode="circular")), (IMAGE,)),
    "pools": (lambda x: (F.max_pool2d(x, 3, 2, 1, ceil_mode=True), F.avg_pool2d(x, 3, 2, 1), F.avg_pool2d(x, 2, count_include_pad=False, ceil_mode=True),
                         F.adaptive_avg_pool2d(x, (3, 4)), F.adaptive_avg_pool2d(x, (2, 3)), F.adaptive_max_pool2d(x, 1), F.avg_pool1d(x[0], 2),
                         F.lp_pool2d(x.abs(), 2, 2)), (IMAGE,)),
    "norms": (lambda x: (F.layer_norm(x, (9, 8)), F.group_norm(x, 2), F.instance_norm(x), F.normalize(x, dim=1), F.rms_norm(x, (8,)),
                         F.local_response_norm(x, 3)), (IMAGE,)),
    "resized": (lambda x: (F.interpolate(x, (5, 6)), F.interpolate(x, scale_factor=2.0, mode="bilinear"), F.interpolate(x, (18, 20), mode="bicubic"),
                           F.interpolate(x, (12, 13), mode="bilinear", align_corners=True), F.interpolate(x, scale_factor=3.0, mode="nearest"),
                           F.interpolate(x[0], scale_factor=2.0, mode="linear"), F.pixel_unshuffle(x[:, :, :8], 2)), (IMAGE,)),
    "attention": (lambda q, m: (F.scaled_dot_product_attention(q, q, q), F.scaled_dot_product_attention(q, q, q, is_causal=True),
                                F.scaled_dot_product_attention(q, q[:, :, :3], q[:, :, :3], attn_mask=m > 0),
                                F.scaled_dot_product_attention(q, q, q, scale=0.3), F.scaled_dot_product_attention(q[0], q[0], q[0])),
                  (torch.randn(2, 3, 5, 8), torch.tensor([[1.0, 0, 1]] * 5))),
    "types": (lambda x, i: (x.double(), x.half().float(), i.int(), x.to(torch.int64), i.to(x.dtype), x.type_as(i), i.bool(), x + i.view(1, 3, 1),
                            x.bfloat16().float()), (X, I)),
    "grid": (lambda x, g: (F.grid_sample(x, g, align_corners=False), F.grid_sample(x, g, mode="nearest", padding_mode="border", align_corners=True)),
             (IMAGE, torch.rand(2, 3, 3, 2) * 2 - 1)),
}

CONTROL = {
    "cond": (lambda x: torch.cond(x.sum() > 0, lambda a: (a + 1, a[:, 0] * 2), lambda a: (a * 2, a[:, 1].exp()), (x,)), [(X.abs(),), (-X.abs(),)]),
    "while": (lambda x: torch._higher_order_ops.while_loop(lambda i, a: i < 4, lambda i, a: (i + 1, a * 1.5 - i), (torch.tensor(0), x)), [(X,)]),
    "scan": (lambda x: torch._higher_order_ops.scan(lambda c, a: (c + a, c * a), torch.zeros(4), x), [(Y,)]),
    "map": (lambda x, y: torch._higher_order_ops.map(lambda a, b: a * b + 1, x, y), [(X, Y)]),
}


class Operators(unittest.TestCase):
    def try_case(self, name):
        function, inputs = OPERATORS[name]
        compare(save(export(Whole(function), inputs)), Whole(function), inputs)


class Control(unittest.TestCase):
    def try_case(self, name):
        function, several = CONTROL[name]
        compare(save(export(Whole(function), several[0])), Whole(function), *several)


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.last = nn.Embedding(11, 6), nn.Linear(6, 11, bias=False)
        self.last.weight = self.embed.weight
        self.register_buffer("scale", torch.tensor(2.0), persistent=False)
        self.table = torch.arange(6.0)

    def forward(self, ids):
        return self.last(self.embed(ids) * self.scale + self.table)


class Archives(unittest.TestCase):
    def test_layouts(self):
        module, ids = Tied(), torch.randint(0, 11, (2, 5))
        program = export(module, (ids,), {"ids": {1: torch.export.Dim("n", min=2, max=9)}})
        for path in (save(program), save_as_before(program)):
            model = compare(path, module, (ids,), (ids[:, :3],))
            self.assertIn(f"PyTorch {torch.__version__}", model.metadata()["source.format"])
            self.assertEqual(sum(np.prod(i.dims) == 66 for i in __import__("onnx").load(model.path).graph.initializer), 1)

    def test_weights_that_are_not_in_order(self):
        module = nn.Linear(4, 3, bias=False)
        module.weight = nn.Parameter(torch.randn(4, 3).t())
        for at in (torch.float32, torch.float64):
            module = module.to(at)
            program = export(module, (X[0].to(at),))
            compare(save(program), module, (X[0].to(at),))
            compare(save_as_before(program), module, (X[0].to(at),))

    def test_sizes_by_expressions(self):
        def net(x):
            n, m = x.shape
            return (torch.arange(n * 2 + m // 2), x.repeat(2, 1).view(n, 2 * m), torch.zeros(n + 1, m) + x[0],
                    x.reshape(-1)[: n * m - 1])
        dynamic = {"inputs": ({0: torch.export.Dim("n", min=2, max=30), 1: torch.export.Dim("m", min=2, max=30)},)}
        x = torch.randn(5, 4)
        compare(save(export(Whole(net), (x,), dynamic)), Whole(net), (x,), (torch.randn(7, 9),))

    def test_opsets(self):
        module, inputs, dynamic = zoo.ZOO["whisper"]()
        path = save(export(module, inputs, dynamic))
        done = command("convert", path, "-o", scratch("17.onnx"), "--opset", "17")
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_verified(self):
        done = command("convert", save(export(nn.Linear(4, 2), (X,))), "-o", scratch("v.onnx"), "--verify", "random", "--python", sys.executable)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_what_is_wrong_is_named(self):
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.part = Whole(lambda x: torch.special.bessel_j0(x) + torch.special.i1(x))

            def forward(self, x):
                return self.part(x) + torch.special.bessel_j0(x)
        done = command("convert", save(export(Net(), (X,))), "-o", scratch("no.onnx"))
        self.assertEqual(done.returncode, 1)
        for said in ("special_bessel_j0.default' is not converted (2 times)", "special_i1", "of module 'part', ", "test_pt2.py:"):
            self.assertIn(said, done.stderr)
        self.assertFalse(pathlib.Path(scratch("no.onnx")).exists())

    def test_weights_that_are_missing(self):
        path = save(export(nn.Linear(4, 2), (X,)))
        with zipfile.ZipFile(path) as whole, zipfile.ZipFile(scratch("part.pt2"), "w") as part:
            for name in whole.namelist():
                text = whole.read(name)
                if name.endswith("model_weights_config.json"):
                    config = json.loads(text)
                    del config["config"]["weight"]
                    text = json.dumps(config)
                part.writestr(name, text)
        done = command("convert", scratch("part.pt2"), "-o", scratch("no.onnx"))
        self.assertIn("weight: the archive has no such weight", done.stderr)
        with zipfile.ZipFile(path) as whole, zipfile.ZipFile(scratch("packed.pt2"), "w", zipfile.ZIP_DEFLATED) as packed:
            for name in whole.namelist():
                packed.writestr(name, whole.read(name))
        done = command("convert", scratch("packed.pt2"), "-o", scratch("no.onnx"))
        self.assertIn("this member of the archive is packed", done.stderr)


LONG = "--long" in sys.argv
for _cases, _group in ((zoo.ZOO if LONG else A_FEW, Architectures), (OPERATORS, Operators), (CONTROL, Control)):
    for _name in _cases:
        setattr(_group, f"test_{_name}", lambda self, n=_name: self.try_case(n))


if __name__ == "__main__":
    sys.exit(suite.run(verbosity=1))
