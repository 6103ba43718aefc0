#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The string operators on random and hard text: patterns against Python's re, cutting against str.split, case
against Unicode's simple mapping, n-grams against ONNX Runtime. Text is of all scripts, and sometimes no UTF-8.

    tests/ops/test_strings.py [--long]
"""
import pathlib
import re
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import venv  # noqa: E402

venv.enter()
import numpy as np  # noqa: E402
import onnx  # noqa: E402
import onnxruntime  # noqa: E402
from onnx import helper  # noqa: E402

import cases  # noqa: E402
import engine  # noqa: E402
import suite  # noqa: E402

onnxruntime.set_default_logger_severity(4)
ROUNDS = 20 if "--long" in sys.argv else 1
LETTERS = ["a", "b", "B", "é", "É", "東", "😀", "0", "-", "_", " ", "\n", "ß", "İ", "ſ", "K"]
SPACES = "\t\n\v\f\r \x1c\x1d\x1e\x1f\x85\xa0\u1680\u2000\u2006\u200a\u2028\u2029\u202f\u205f\u3000"
NOT_SPACES = "\u200b\ufeff\u180e\u2060"
tally = suite.Tally()


def check(good, text):
    tally.note("", None if good else text)


def words(texts):
    made = np.empty(len(texts), object)
    made[:] = texts
    return made


def node_model(name, attributes, x, outputs=1):
    node = helper.make_node(name, ["x"], [f"y{i}" for i in range(outputs)], **attributes)
    graph = helper.make_graph([node], "g", [cases.value_info("x", x, [None] * x.ndim)],
                              [onnx.ValueInfoProto(name=f"y{i}") for i in range(outputs)])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10).SerializeToString()


def run(name, attributes, x, outputs=1):
    return engine.Session(node_model(name, attributes, x, outputs)).run({"x": x})


# ---- RegexFullMatch -----------------------------------------------------------------------------------

def pattern(random, depth):
    """(RE2's spelling, Python's) of a random pattern."""
    def one(text):
        return text, text

    pick = random.integers(0, 14 if depth else 7)
    if pick < 3:
        letter = LETTERS[random.integers(0, 10)]
        return re.escape(letter) if letter.isascii() else letter, re.escape(letter)
    if pick == 3:
        return one(["a", "[ab]", "[^a]", "[a-bé]", "[^\\dé]", "[\\w-]", "[[:alpha:]]", "[東é]"][random.integers(0, 8)])
    if pick == 4:
        return one(["\\w", "\\W", "\\d", "\\D", "\\s", "\\S", "."][random.integers(0, 7)])
    if pick == 5:
        return [("\\b", "\\b"), ("\\B", "(?!\\b)"), ("^", "\\A"), ("$", "\\Z"), ("\\A", "\\A"), ("\\z", "\\Z"), ("", "")][
            random.integers(0, 7)]
    if pick == 6:
        return [("\\x{1F600}", "😀"), ("\\Qa.b\\E", "a\\.b"), ("\\x61", "a"), ("\\141", "a"), ("\\n", "\\n")][
            random.integers(0, 5)]
    left, right = pattern(random, depth - 1), pattern(random, depth - 1)
    if pick < 10:
        return left[0] + right[0], left[1] + right[1]
    if pick < 12:
        return f"({left[0]}|{right[0]})", f"(?:{left[1]}|{right[1]})"
    times = ["*", "+", "?", "{0,2}", "{2}", "{1,}", "*?", "+?"][random.integers(0, 8)]
    return f"(?:{left[0]}){times}", f"(?:{left[1]}){times}"


def regex():
    random = np.random.default_rng(1)
    texts = ["", "a", "aB", "b\n", "a.b", "é", "東😀", "-_0", "aa bb", "ab" * 8] + [
        "".join(LETTERS[i] for i in random.integers(0, 12, random.integers(0, 7))) for _ in range(60)]
    x = words(texts)
    for _ in range(400 * ROUNDS):
        ours, theirs = pattern(random, 3)
        flags = ["", "(?s)"][random.integers(0, 2)]
        theirs = theirs.replace("[[:alpha:]]", "[a-zA-Z]").replace("\\s", "[\\t\\n\\f\\r ]").replace(
            "\\S", "[^\\t\\n\\f\\r ]")
        try:
            compiled = re.compile(flags + theirs, re.ASCII)
        except re.error:
            continue
        want = [compiled.fullmatch(t) is not None for t in texts]
        try:
            got = run("RegexFullMatch", {"pattern": flags + ours}, x)[0].tolist()
        except engine.Failure as failure:
            check(False, f"pattern {flags + ours!r}: {failure.args}")
            continue
        wrong = [t for t, g, w in zip(texts, got, want) if g != w]
        check(not wrong, f"pattern {flags + ours!r} on {wrong[:1]}: {not wrong or want[texts.index(wrong[0])]} in Python")
    # Letters with two cases, in any alphabet.
    for upper, lower in (("STRASSEÄ", "strasseä"), ("ΑΒΓ", "αβγ"), ("ЖЯ", "жя"), ("Ⴀ", "ⴀ")):
        check(run("RegexFullMatch", {"pattern": f"(?i){lower}"}, words([upper]))[0].all(), f"(?i){lower} and {upper}")
    # Time grows with the text, not with what could be tried again; ten times the text is about ten times the time.
    for bad in ("(a*)*b", "(a|aa)+$b", "(a?){200}a{200}b", "(?:(?:a+)+)+b", "(.*)(.*)(.*)(.*)(.*)[^a]"):
        seconds = []
        for size in (2000, 20000):
            start = time.process_time()
            check(not run("RegexFullMatch", {"pattern": bad}, words(["a" * size]))[0].any(), f"{bad} matches")
            seconds.append(time.process_time() - start)
        check(seconds[1] < 40 * seconds[0] + 0.05, f"{bad}: {seconds}")


# ---- StringSplit --------------------------------------------------------------------------------------

def split():
    random = np.random.default_rng(2)
    pieces = list(SPACES) + list(NOT_SPACES) + ["a", "é", "東", "😀", "..", ".", "\0"]
    for _ in range(300 * ROUNDS):
        texts = ["".join(pieces[i] for i in random.integers(0, len(pieces), random.integers(0, 9))) for _ in range(12)]
        delimiter = [None, "", ".", "..", "é", "東😀", " "][random.integers(0, 7)]
        most = [None, 0, 1, 3][random.integers(0, 4)]
        attributes = {**({} if delimiter is None else {"delimiter": delimiter}), **({} if most is None else {"maxsplit": most})}
        want = [t.split(delimiter or None, -1 if most is None else most) for t in texts]
        longest = max(map(len, want))
        y, z = run("StringSplit", attributes, words(texts), 2)
        check(z.tolist() == [len(w) for w in want] and
              y.tolist() == [w + [""] * (longest - len(w)) for w in want], f"StringSplit {attributes} of {texts}: {y}")
    y, z = run("StringSplit", {}, np.empty((2, 0), object), 2)
    check(y.shape == (2, 0, 0) and z.shape == (2, 0), f"StringSplit of nothing: {y.shape} {z.shape}")
    y, z = run("StringSplit", {"delimiter": "é"}, words(["x\udcc3\udca9y", "x\udcc3y"]), 2)  # bytes; é in the first
    check(z.tolist() == [2, 1], f"StringSplit of bytes: {y}")


# ---- StringNormalizer -----------------------------------------------------------------------------------

def simple(text, upper):
    """One code point becomes one; what has no such partner stays."""
    changed = (c.upper() if upper else c.lower() for c in text)
    return "".join(n if len(n) == 1 and (n.lower() if upper else n.upper()) == c else c for c, n in zip(text, changed))


def normalize():
    random = np.random.default_rng(3)
    pool = LETTERS + ["monday", "Monday", "übung", "Übung", "ÉTÉ", "été", "Ω", "ω", "Ж", "ж", "ǅ", "ﬁ", "ı"]
    for _ in range(300 * ROUNDS):
        texts = [pool[i] + pool[j] for i, j in random.integers(0, len(pool), (random.integers(0, 8), 2))]
        stops = [pool[i] + pool[j] for i, j in random.integers(0, len(pool), (40, 2))][: random.integers(0, 40)] + texts[:1]
        stops = stops if random.random() < 0.8 else []
        action, sensitive = ["NONE", "LOWER", "UPPER"][random.integers(0, 3)], int(random.integers(0, 2))
        row = random.random() < 0.5
        fold = (lambda t: t) if sensitive else (lambda t: simple(t, False))
        dropped = {fold(s) for s in stops}
        want = [t for t in texts if fold(t) not in dropped]
        want = [t if action == "NONE" else simple(t, action == "UPPER") for t in want] or [""]
        attributes = {"case_change_action": action, "is_case_sensitive": sensitive, **({"stopwords": stops} if stops else {})}
        x = words(texts).reshape(1, -1) if row else words(texts)
        y = run("StringNormalizer", attributes, x)[0]
        check(y.shape == ((1, len(want)) if row else (len(want),)) and y.ravel().tolist() == want,
              f"StringNormalizer {attributes} of {texts}: {y}, not {want}")
    for attributes in ({"case_change_action": "UPPER"}, {"stopwords": ["a"]}):
        try:
            run("StringNormalizer", attributes, words(["a", "\udcff"]))
            check(False, "StringNormalizer: takes bytes that are no UTF-8")
        except engine.Failure as failure:
            check("UTF-8" in failure.args[1], f"StringNormalizer: {failure.args}")


# ---- TfIdfVectorizer ------------------------------------------------------------------------------------

def tfidf():
    random = np.random.default_rng(4)
    for _ in range(150 * ROUNDS):
        strings = random.random() < 0.5
        vocabulary = ["a", "é", "東", "", "a b"] if strings else [3, 5, -7, 1 << 40, 0]
        grams, counts, pool = 0, [], []
        for length in range(1, random.integers(2, 5)):
            counts.append(len(pool))
            made = {tuple(random.integers(0, 5, length)) for _ in range(random.integers(1, 4))}
            grams += len(made)
            pool += [vocabulary[i] for gram in sorted(made) for i in gram]
        shortest = int(random.integers(1, len(counts) + 1))
        attributes = {"min_gram_length": shortest, "max_gram_length": int(random.integers(shortest, len(counts) + 1)),
                      "max_skip_count": int(random.integers(0, 4)), "mode": ["TF", "IDF", "TFIDF"][random.integers(0, 3)],
                      "ngram_counts": counts, "ngram_indexes": random.permutation(grams).tolist() if random.random() < 0.8 else
                      random.integers(0, grams, grams).tolist(),
                      "pool_strings" if strings else "pool_int64s": pool}
        shared = attributes["mode"] == "IDF" and len(set(attributes["ngram_indexes"])) < grams
        if random.random() < 0.5 and not shared:
            attributes["weights"] = random.uniform(0.5, 2, grams).tolist()
        picked = [vocabulary[i] for i in random.integers(0, 5, 12)]
        x = words(picked) if strings else np.array(picked, np.int64)
        x = x.reshape(3, 4) if random.random() < 0.5 else x
        try:
            want = onnxruntime.InferenceSession(node_model("TfIdfVectorizer", attributes, x),
                                                providers=["CPUExecutionProvider"]).run(None, {"x": x})[0]
        except Exception:  # refuses some lengths
            continue
        got = run("TfIdfVectorizer", attributes, x)[0]
        check(got.shape == want.shape and np.allclose(got, want), f"TfIdfVectorizer {attributes} of {x.tolist()}: {got}, not {want}")


def main():
    for part in (regex, split, normalize, tfidf):
        part()
    return tally.close()


if __name__ == "__main__":
    sys.exit(main())
