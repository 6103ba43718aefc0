# SPDX-License-Identifier: Apache-2.0
"""Architectures that people use, small and with random weights: NAME -> function that makes (module, inputs, dynamic
shapes). What is compared is the graph, not what it has learnt."""
import torch
import torchvision
from torch import nn
from torch.nn import functional as F

torch.manual_seed(7)
torch.set_num_threads(1)
torch.cuda.is_current_stream_capturing = lambda: False  # which stand-ins for its libraries cannot tell
D = torch.export.Dim


def image(size=64, batch=2):
    return torch.randn(batch, 3, size, size)


def spread(module):
    """Statistics that are not those of a fresh module, nothing that is zero."""
    for p in module.parameters():
        if not p.detach().any():
            nn.init.normal_(p, std=0.05)
    for m in module.modules():
        if isinstance(m, (nn.BatchNorm1d, nn.BatchNorm2d)) and m.running_mean is not None:
            m.running_mean.uniform_(-0.3, 0.3)
            m.running_var.uniform_(0.6, 1.4)
    return module.eval()


def vision(name, size=64, **options):
    def make():
        return spread(torchvision.models.get_model(name, weights=None, num_classes=10, **options)), (image(size, 1),), None
    return make


def timm_model(name, size=64, **options):
    def make():
        import timm
        return spread(timm.create_model(name, pretrained=False, num_classes=10, **options)), (image(size, 1),), None
    return make


def words(batch=2, length=9, most=90):
    return torch.randint(1, most, (batch, length))


def language(kind, config, **sizes):
    """A model of transformers: takes ids, gives its first result."""
    def make():
        import transformers

        class First(nn.Module):
            def __init__(self):
                super().__init__()
                self.model = getattr(transformers, kind)(getattr(transformers, config)(vocab_size=97, **sizes))

            def forward(self, ids):
                return self.model(ids)[0]

        ids = words()
        return spread(First()), (ids,), {"ids": {0: D("batch", min=1, max=64), 1: D("length", min=2, max=32)}}
    return make


SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}


def t5():
    import transformers

    class Both(nn.Module):
        def __init__(self):
            super().__init__()
            self.model = transformers.T5ForConditionalGeneration(transformers.T5Config(
                vocab_size=97, d_model=32, d_kv=8, d_ff=48, num_layers=2, num_heads=4, decoder_start_token_id=0, use_cache=False))

        def forward(self, ids, given):
            return self.model(input_ids=ids, decoder_input_ids=given, use_cache=False)[0]

    return spread(Both()), (words(), words(2, 4)), None


class UNet(nn.Module):
    def __init__(self):
        super().__init__()

        def block(a, b):
            return nn.Sequential(nn.Conv2d(a, b, 3, padding=1), nn.BatchNorm2d(b), nn.ReLU(inplace=True))
        self.down = nn.ModuleList([block(3, 8), block(8, 16), block(16, 24)])
        self.up = nn.ModuleList([nn.ConvTranspose2d(24, 16, 2, stride=2), nn.ConvTranspose2d(16, 8, 2, stride=2)])
        self.join = nn.ModuleList([block(32, 16), block(16, 8)])
        self.last = nn.Conv2d(8, 2, 1)

    def forward(self, x):
        kept = []
        for i, block in enumerate(self.down):
            x = block(x)
            if i < 2:
                kept.append(x)
                x = F.max_pool2d(x, 2)
        for up, join in zip(self.up, self.join):
            x = join(torch.cat([kept.pop(), up(x)], 1))
        return self.last(x)


def unet():
    return spread(UNet()), (image(32),), {"x": {0: D("batch", min=1, max=16)}}


class Yolo(nn.Module):
    """A head that decodes boxes from grids of two sizes."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.SiLU(), nn.Conv2d(8, 16, 3, 2, 1), nn.SiLU())
        self.deep = nn.Sequential(nn.Conv2d(16, 16, 3, 2, 1), nn.SiLU())
        self.head = nn.ModuleList([nn.Conv2d(16, 4 + 5, 1), nn.Conv2d(16, 4 + 5, 1)])

    def forward(self, x):
        a = self.stem(x)
        b = self.deep(a)
        a = a + F.interpolate(b, scale_factor=2, mode="nearest")
        boxes = []
        for head, y, stride in zip(self.head, (a, b), (4, 8)):
            y = head(y)
            n, c, h, w = y.shape
            gy, gx = torch.meshgrid(torch.arange(h, dtype=y.dtype), torch.arange(w, dtype=y.dtype), indexing="ij")
            y = y.view(n, c, h * w).transpose(1, 2)
            grid = torch.stack((gx, gy), -1).view(1, h * w, 2)
            centre = (y[..., :2].sigmoid() * 2 - 0.5 + grid) * stride
            size = (y[..., 2:4].sigmoid() * 2) ** 2 * stride
            boxes.append(torch.cat((centre - size / 2, centre + size / 2, y[..., 4:].sigmoid()), -1))
        return torch.cat(boxes, 1)


def yolo():
    return spread(Yolo()), (image(32),), {"x": {0: D("batch", min=1, max=16)}}


class Detr(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 16, 7, 4, 3), nn.ReLU(), nn.Conv2d(16, 32, 3, 2, 1))
        self.transformer = nn.Transformer(32, 4, 2, 2, 48, batch_first=True)
        self.queries = nn.Parameter(torch.rand(7, 32))
        self.row, self.column = nn.Parameter(torch.rand(20, 16)), nn.Parameter(torch.rand(20, 16))
        self.classes, self.boxes = nn.Linear(32, 6), nn.Linear(32, 4)

    def forward(self, x):
        h = self.body(x)
        height, width = h.shape[-2:]
        place = torch.cat([self.column[:width].unsqueeze(0).repeat(height, 1, 1),
                           self.row[:height].unsqueeze(1).repeat(1, width, 1)], -1).flatten(0, 1)
        memory = h.flatten(2).permute(0, 2, 1) + place
        y = self.transformer(memory, self.queries.unsqueeze(0).expand(x.shape[0], -1, -1))
        return self.classes(y), self.boxes(y).sigmoid()


def detr():
    return spread(Detr()), (image(64),), None


class Recurrent(nn.Module):
    def __init__(self, kind, **options):
        super().__init__()
        self.embed = nn.Embedding(50, 12)
        self.core = getattr(nn, kind)(12, 10, batch_first=True, **options)
        self.last = nn.Linear(20 if options.get("bidirectional") else 10, 4)

    def forward(self, ids):
        y, state = self.core(self.embed(ids))
        return self.last(y), state[0] if isinstance(state, tuple) else state


def recurrent(kind, **options):
    return lambda: (Recurrent(kind, **options).eval(), (words(2, 6, 50),), {"ids": {0: D("batch", min=1, max=16)}})


class Audio(nn.Module):
    """Convolutions along time, gates, a recurrent layer, attention over the frames."""

    def __init__(self):
        super().__init__()
        self.front = nn.Sequential(nn.Conv1d(1, 16, 10, 5), nn.GroupNorm(4, 16), nn.GELU(), nn.Conv1d(16, 32, 4, 2), nn.GLU(1))
        self.gru = nn.GRU(16, 16, 2, bidirectional=True, batch_first=True)
        self.attention = nn.MultiheadAttention(32, 4, batch_first=True)
        self.norm, self.last = nn.LayerNorm(32), nn.Linear(32, 5)

    def forward(self, x):
        y = self.front(x.unsqueeze(1)).transpose(1, 2)
        y, _ = self.gru(y)
        y = self.norm(y + self.attention(y, y, y, need_weights=False)[0])
        return F.log_softmax(self.last(y), -1)


def audio():
    return spread(Audio()), (torch.randn(2, 400),), {"x": {0: D("batch", min=1, max=16)}}


class TextCnn(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(60, 16, padding_idx=0)
        self.convs = nn.ModuleList([nn.Conv1d(16, 8, k) for k in (2, 3, 4)])
        self.last = nn.Linear(24, 3)

    def forward(self, ids):
        x = self.embed(ids).transpose(1, 2)
        return self.last(torch.cat([F.relu(c(x)).amax(-1) for c in self.convs], 1))


class Wide(nn.Module):
    """What recommends: embeddings, products of pairs, a stack of layers."""

    def __init__(self):
        super().__init__()
        self.tables = nn.ModuleList([nn.Embedding(20, 8) for _ in range(4)])
        self.bottom = nn.Sequential(nn.Linear(5, 16), nn.ReLU(), nn.Linear(16, 8))
        self.top = nn.Sequential(nn.Linear(8 + 10, 16), nn.ReLU(), nn.Linear(16, 1), nn.Sigmoid())

    def forward(self, dense, ids):
        x = self.bottom(dense)
        all_of = torch.stack([x] + [t(ids[:, i]) for i, t in enumerate(self.tables)], 1)
        pairs = torch.bmm(all_of, all_of.transpose(1, 2))
        row, column = torch.tril_indices(5, 5, -1)
        return self.top(torch.cat([x, pairs[:, row, column]], 1))


class Graph(nn.Module):
    """A convolution over a graph given as its edges."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(6, 8), nn.Linear(8, 3)

    def forward(self, x, edges):
        for layer in (self.a, self.b):
            y = layer(x)
            x = torch.zeros_like(y).index_add(0, edges[1], y[edges[0]]) + y
            x = torch.relu(x)
        return x


class Autoencoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.encode = nn.Sequential(nn.Linear(12, 8), nn.Tanh())
        self.mean, self.spread = nn.Linear(8, 3), nn.Linear(8, 3)
        self.decode = nn.Sequential(nn.Linear(3, 8), nn.ELU(), nn.Linear(8, 12), nn.Softplus())

    def forward(self, x):
        y = self.encode(x)
        return self.decode(self.mean(y)), self.mean(y), torch.exp(self.spread(y) / 2)


class Generator(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.ConvTranspose2d(16, 12, 4), nn.BatchNorm2d(12), nn.LeakyReLU(0.2),
                                 nn.ConvTranspose2d(12, 6, 4, 2, 1), nn.InstanceNorm2d(6, affine=True), nn.ReLU(),
                                 nn.Upsample(scale_factor=2, mode="bilinear"), nn.ReflectionPad2d(1), nn.Conv2d(6, 3, 3), nn.Tanh())

    def forward(self, z):
        return self.net(z.view(z.shape[0], 16, 1, 1))


class SuperResolution(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Conv2d(1, 8, 5, padding=2), nn.PReLU(8), nn.Conv2d(8, 9, 3, padding="same"), nn.PixelShuffle(3))

    def forward(self, x):
        return self.net(x) + F.interpolate(x, scale_factor=3, mode="bicubic", align_corners=False)


class Diffusion(nn.Module):
    """A step of a denoiser: embedded time, group norms, attention in the middle."""

    def __init__(self):
        super().__init__()
        self.time = nn.Sequential(nn.Linear(16, 32), nn.SiLU(), nn.Linear(32, 32))
        self.first, self.norm = nn.Conv2d(3, 32, 3, padding=1), nn.GroupNorm(8, 32)
        self.qkv, self.out = nn.Conv2d(32, 96, 1), nn.Conv2d(32, 3, 3, padding=1)

    def forward(self, x, t):
        f = torch.exp(-torch.arange(8, dtype=torch.float32) / 8 * 9.21)
        angle = t[:, None] * f[None]
        y = self.first(x) + self.time(torch.cat([angle.cos(), angle.sin()], 1))[:, :, None, None]
        y = F.silu(self.norm(y))
        b, c, h, w = y.shape
        q, k, v = self.qkv(y).reshape(b, 3, 4, c // 4, h * w).transpose(3, 4).unbind(1)
        y = y + F.scaled_dot_product_attention(q, k, v).transpose(2, 3).reshape(b, c, h, w)
        return self.out(y)


class PointNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Conv1d(3, 16, 1), nn.BatchNorm1d(16), nn.ReLU(), nn.Conv1d(16, 32, 1))
        self.last = nn.Linear(32, 4)

    def forward(self, x):
        return self.last(self.net(x.transpose(1, 2)).max(2)[0])


class TabNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm, self.a, self.b = nn.BatchNorm1d(10), nn.Linear(10, 10), nn.Linear(10, 2)

    def forward(self, x):
        x = self.norm(x)
        mask = torch.softmax(self.a(x), -1)
        kept, _ = torch.topk(mask * x, 5)
        return self.b(mask * x), kept


class TCN(nn.Module):
    def __init__(self):
        super().__init__()
        self.convs = nn.ModuleList([nn.Conv1d(4, 4, 3, dilation=2 ** i) for i in range(3)])

    def forward(self, x):
        for i, conv in enumerate(self.convs):
            x = x + torch.relu(conv(F.pad(x, (2 * 2 ** i, 0))))
        return x


class Whisper(nn.Module):
    """An encoder layer and a decoder layer with a causal mask, over spectra."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(20, 32, 3, stride=2, padding=1)
        self.encoder = nn.TransformerEncoderLayer(32, 4, 64, activation="gelu", batch_first=True, norm_first=True)
        self.decoder = nn.TransformerDecoderLayer(32, 4, 64, activation="gelu", batch_first=True, norm_first=True)
        self.embed = nn.Embedding(40, 32)

    def forward(self, spectrum, ids):
        memory = self.encoder(F.gelu(self.conv(spectrum)).transpose(1, 2))
        y = self.embed(ids)
        mask = torch.triu(torch.full((ids.shape[1], ids.shape[1]), float("-inf")), 1)
        y = self.decoder(y, memory, tgt_mask=mask)
        return y @ self.embed.weight.t()


class Mixer(nn.Module):
    def __init__(self):
        super().__init__()
        self.patch = nn.Conv2d(3, 16, 8, 8)
        self.tokens, self.channels = nn.Linear(16, 16), nn.Linear(16, 16)
        self.a, self.b = nn.LayerNorm(16), nn.LayerNorm(16)

    def forward(self, x):
        y = self.patch(x).flatten(2).transpose(1, 2)
        y = y + self.tokens(self.a(y).transpose(1, 2)).transpose(1, 2)
        return (y + F.gelu(self.channels(self.b(y)), approximate="tanh")).mean(1)


def own(kind, *inputs, dynamic=None):
    return lambda: (spread(kind()), inputs, dynamic)


ZOO = {
    "resnet18": vision("resnet18"),
    "resnext50": vision("resnext50_32x4d"),
    "vgg11_bn": vision("vgg11_bn", 32),
    "alexnet": vision("alexnet"),
    "squeezenet": vision("squeezenet1_1"),
    "densenet121": vision("densenet121"),
    "googlenet": vision("googlenet", aux_logits=False, init_weights=False),
    "inception_v3": vision("inception_v3", 128, aux_logits=False, init_weights=False),
    "mobilenet_v2": vision("mobilenet_v2"),
    "mobilenet_v3": vision("mobilenet_v3_small"),
    "efficientnet_b0": vision("efficientnet_b0"),
    "efficientnet_v2": vision("efficientnet_v2_s"),
    "shufflenet": vision("shufflenet_v2_x0_5"),
    "mnasnet": vision("mnasnet0_5"),
    "regnet": vision("regnet_y_400mf"),
    "convnext": vision("convnext_tiny"),
    "vit": vision("vit_b_32", image_size=64),
    "swin": vision("swin_t"),
    "swin_v2": vision("swin_v2_t"),
    "maxvit": vision("maxvit_t", 224),
    "timm resnest": timm_model("resnest14d"),
    "timm ghostnet": timm_model("ghostnet_100"),
    "timm deit": timm_model("deit_tiny_patch16_224", img_size=64),
    "timm mixer": timm_model("mixer_s32_224", 224),
    "timm levit": timm_model("levit_128s", 224),
    "timm poolformer": timm_model("poolformer_s12"),
    "timm mobileone": timm_model("mobileone_s0"),
    "timm repvgg": timm_model("repvgg_a0"),
    "timm efficientvit": timm_model("efficientvit_b0"),
    "timm mobilevit": timm_model("mobilevit_xxs"),
    "timm convmixer": timm_model("convmixer_768_32"),
    "timm hrnet": timm_model("hrnet_w18_small"),
    "bert": language("BertModel", "BertConfig", **SMALL),
    "distilbert": language("DistilBertModel", "DistilBertConfig", dim=32, n_layers=2, n_heads=4, hidden_dim=48),
    "roberta": language("RobertaModel", "RobertaConfig", **SMALL),
    "electra": language("ElectraModel", "ElectraConfig", embedding_size=16, **SMALL),
    "albert": language("AlbertModel", "AlbertConfig", embedding_size=16, **SMALL),
    "gpt2": language("GPT2LMHeadModel", "GPT2Config", n_embd=32, n_layer=2, n_head=4, use_cache=False),
    "opt": language("OPTForCausalLM", "OPTConfig", hidden_size=32, num_hidden_layers=2, num_attention_heads=4, ffn_dim=48, use_cache=False,
                    word_embed_proj_dim=32),
    "llama": language("LlamaForCausalLM", "LlamaConfig", num_key_value_heads=2, use_cache=False, **SMALL),
    "mistral": language("MistralForCausalLM", "MistralConfig", num_key_value_heads=2, use_cache=False, **SMALL),
    "qwen2": language("Qwen2ForCausalLM", "Qwen2Config", num_key_value_heads=2, use_cache=False, **SMALL),
    "phi": language("PhiForCausalLM", "PhiConfig", use_cache=False, **SMALL),
    "t5": t5,
    "unet": unet,
    "yolo": yolo,
    "detr": detr,
    "lstm": recurrent("LSTM"),
    "lstm, deep": recurrent("LSTM", num_layers=2, bidirectional=True),
    "gru": recurrent("GRU", bidirectional=True),
    "rnn": recurrent("RNN", nonlinearity="relu"),
    "audio": audio,
    "text cnn": own(TextCnn, words(2, 9, 60)),
    "recommender": own(Wide, torch.randn(3, 5), torch.randint(0, 20, (3, 4))),
    "graph": own(Graph, torch.randn(7, 6), torch.randint(0, 7, (2, 12))),
    "autoencoder": own(Autoencoder, torch.randn(3, 12), dynamic={"x": {0: D("batch", min=1, max=16)}}),
    "generator": own(Generator, torch.randn(2, 16)),
    "super resolution": own(SuperResolution, torch.randn(1, 1, 10, 12)),
    "diffusion": own(Diffusion, torch.randn(2, 3, 8, 8), torch.tensor([3.0, 40.0])),
    "pointnet": own(PointNet, torch.randn(2, 30, 3)),
    "tabnet": own(TabNet, torch.randn(4, 10), dynamic={"x": {0: D("batch", min=1, max=16)}}),
    "tcn": own(TCN, torch.randn(2, 4, 20)),
    "whisper": own(Whisper, torch.randn(2, 20, 30), words(2, 6, 40)),
    "mixer": own(Mixer, image(32)),
}
