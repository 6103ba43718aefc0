# SPDX-License-Identifier: Apache-2.0
"""What bench/rivals.py leaves behind for readers: rivals.md with machine, versions, command and all ratios, and
rivals.svg, a bar for each model and rival around the line where both engines take the same time."""
import importlib.metadata
import math
import platform

COLOURS = {"onnxruntime": "#4477aa", "openvino": "#ee6677", "mnn": "#228833", "ncnn": "#ccbb44"}
BAR, GAP, LEFT, WIDTH, TOP = 11, 8, 190, 420, 46


def machine():
    facts = {"processor": platform.processor() or platform.machine(), "system": platform.platform()}
    with open("/proc/cpuinfo", encoding="utf-8") as info:
        lines = [line.split(":", 1) for line in info if ":" in line]
    fields = {key.strip(): value.strip() for key, value in lines}
    facts["processor"] = fields.get("model name", facts["processor"])
    facts["processors"] = sum(key.strip() == "processor" for key, _ in lines)
    flags = fields.get("flags", "").split()
    facts["instructions"] = " ".join(f for f in ("avx2", "avx512f", "avx512_vnni", "amx_tile") if f in flags) or "-"
    return facts


def versions(names):
    return {name: importlib.metadata.version(name) for name in names}


def means(rows):
    """(rival, threads, geometric mean of the ratios) of all pairs that were measured."""
    found = {}
    for row in rows:
        for name, e in row["engines"].items():
            if name != "sardonyx" and "ratio" in e:
                found.setdefault((name, row["threads"]), []).append(math.log(e["ratio"]))
    return [(name, threads, math.exp(sum(v) / len(v))) for (name, threads), v in sorted(found.items())]


def picture(rows, names):
    """Bars grow to the right of 1 where Sardonyx is faster, to the left where the rival is; the scale is logarithmic."""
    largest = max([2.0, *(max(e["ratio"], 1 / e["ratio"]) for r in rows for e in r["engines"].values() if "ratio" in e)])
    scale, middle = WIDTH / 2 / math.log(largest), LEFT + WIDTH / 2
    parts, y = [], TOP
    for row in rows:
        top = y
        for name in names:
            e = row["engines"].get(name, {})
            if "ratio" in e:
                end = middle + scale * math.log(e["ratio"])
                parts.append(f'<rect x="{min(middle, end):.1f}" y="{y}" width="{max(abs(end - middle), 1):.1f}" '
                             f'height="{BAR}" fill="{COLOURS[name]}"/><text x="{LEFT + WIDTH + 8}" y="{y + BAR - 1}">'
                             f'{e["ratio"]:.2f}</text>')
            y += BAR
        label = row["model"] + (f" x{row['threads']}" if row["threads"] > 1 else "")
        parts.append(f'<text x="{LEFT - 8}" y="{(top + y + BAR) / 2 - 2}" text-anchor="end">{label}</text>')
        y += GAP
    legend = "".join(f'<rect x="{LEFT + 130 * i}" y="8" width="10" height="10" fill="{COLOURS[n]}"/>'
                     f'<text x="{LEFT + 130 * i + 15}" y="17">{n}</text>' for i, n in enumerate(names))
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + WIDTH + 60}" height="{y}" font-family="sans-serif" '
            f'font-size="11"><rect width="100%" height="100%" fill="#ffffff"/>{legend}'
            f'<text x="{middle - 6}" y="{TOP - 8}" text-anchor="end">rival faster</text>'
            f'<text x="{middle + 6}" y="{TOP - 8}">Sardonyx faster</text>{"".join(parts)}'
            f'<line x1="{middle}" y1="{TOP - 18}" x2="{middle}" y2="{y}" stroke="#000000"/></svg>\n')


def cell(e):
    return f"{e['ratio']:.2f} ({e['ratio_p25']:.2f}-{e['ratio_p75']:.2f})" if "ratio" in e else "-"


def quiet(result):
    """How quiet the machine was, in two lines: figures without that say too much."""
    busy, rows = result["busy"], result["rows"]
    share = f"{sum(r['dropped'] for r in rows)} of {sum(r['slices'] for r in rows)} slices were dropped for more"
    if busy <= 0.1:
        return ["The machine was quiet: others used at most a tenth of a processor during a slice;", f"{share}."]
    return [f"**The machine was busy**: others might use {busy:g} of its {result['machine']['processors']} processors during a slice; {share}.",
            "Times are longer than on a quiet machine; only ratios compare, as far as their quartiles are close."]


def write(result, folder):
    names = [n for n in result["versions"] if n != "sardonyx"]
    lines = ["# Sardonyx beside other engines", "",
             "Written by `make bench-rivals`. Ratios are rival's time / Sardonyx's, medians of slices side by side with",
             "their quartiles: above 1 Sardonyx is faster. One engine a process, fp32 as the engines have it by default;",
             "`difference` is the largest of Sardonyx's outputs from ONNX Runtime's, relative to the largest value.", "",
             *quiet(result), "",
             "![ratios](rivals.svg)", "", "| | |", "|---|---|"]
    lines += [f"| {key} | {value} |" for key, value in result["machine"].items()]
    lines += [f"| {key} | {value} |" for key, value in result["versions"].items()]
    lines += [f"| command | `{result['command']}` |", "",
              "| model | threads | ms | " + " | ".join(names) + " | difference | MB | first result, ms |",
              "|---|---|---|" + "---|" * len(names) + "---|---|---|"]
    for row in result["rows"]:
        ours = row["engines"]["sardonyx"]
        if "ms" not in ours:
            continue
        lines.append(f"| {row['model']} | {row['threads']} | {ours['ms']:.3f} | " +
                     " | ".join(cell(row["engines"][n]) for n in names) +
                     f" | {ours['difference']:.1e} | {ours['peak_mb']:.0f} | {ours['first_ms']:.0f} |")
    lines += ["", "| geometric mean | threads | |", "|---|---|---|"]
    lines += [f"| {name} | {threads} | {mean:.2f} |" for name, threads, mean in means(result["rows"])]
    reasons = [f"* {row['model']}, {name}: {e['reason']}" for row in result["rows"]
               for name, e in row["engines"].items() if "reason" in e]
    lines += ["", "Not measured:", "", *reasons] if reasons else []
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "rivals.md").write_text("\n".join(lines) + "\n")
    (folder / "rivals.svg").write_text(picture(result["rows"], names))
