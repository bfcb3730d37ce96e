"""Speaker verification in plain Python floats, one number at a time, written from the formulas."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import pairwise


def mel(frequency: float, scale: str) -> float:
    if scale == "htk":
        return 2595.0 * math.log10(1.0 + frequency / 700.0)
    if frequency < 1000.0:
        return 3.0 * frequency / 200.0
    return 15.0 + 27.0 * math.log(frequency / 1000.0) / math.log(6.4)


def hertz(mels: float, scale: str) -> float:
    """Invert by bisection, so that nothing is shared with the inverse formula."""
    low, high = 0.0, 1e6
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if mel(middle, scale) < mels else (low, middle)
    return low


def mel_filterbank(bands: int, n_fft: int, rate: int, low: float, high: float, scale: str) -> list[list[float]]:
    """Filters as rows of bins."""
    first, last = mel(low, scale), mel(high, scale)
    corners = [hertz(first + (last - first) * place / (bands + 1), scale) for place in range(bands + 2)]
    rows = []
    for k in range(n_fft // 2 + 1):
        f, row = rate * k / n_fft, []
        for left, centre, right in zip(corners, corners[1:], corners[2:], strict=False):
            height = 2.0 / (right - left) if scale == "slaney" else 1.0
            if left < f <= centre:
                row.append(height * (f - left) / (centre - left))
            elif centre < f < right:
                row.append(height * (right - f) / (right - centre))
            else:
                row.append(0.0)
        rows.append(row)
    return rows


def aam_logits(cosines: list[list[float]], labels: list[int], margin: float, scale: float) -> list[list[float]]:
    found = []
    for row, label in zip(cosines, labels, strict=True):
        logits = [scale * cosine for cosine in row]
        angle = math.acos(row[label])
        if angle + margin < math.pi:
            logits[label] = scale * math.cos(angle + margin)
        else:
            logits[label] = scale * (row[label] - margin * math.sin(margin))
        found.append(logits)
    return found


def points(scores: list[float], targets: list[bool], weights: list[int]) -> list[tuple[Fraction, Fraction]]:
    """Every (miss, alarm) of accepting what scores at least τ, exactly, from τ = ∞ down."""
    total = {kind: sum(w for t, w in zip(targets, weights, strict=True) if t == kind) for kind in (True, False)}
    found = [(Fraction(1), Fraction(0))]
    for threshold in sorted(set(scores), reverse=True):
        miss = alarm = 0
        for score, target, weight in zip(scores, targets, weights, strict=True):
            if target and score < threshold:
                miss += weight
            if not target and score >= threshold:
                alarm += weight
        found.append((Fraction(miss, total[True]), Fraction(alarm, total[False])))
    return found


def eer(scores: list[float], targets: list[bool], weights: list[int]) -> Fraction:
    """Where the line through the points crosses miss = alarm."""
    found = points(scores, targets, weights)
    for (m0, a0), (m1, a1) in pairwise(found):
        if a1 >= m1:
            share = (m0 - a0) / ((m0 - a0) + (a1 - m1))
            return m0 + share * (m1 - m0)
    raise AssertionError("accepting everything misses nothing")


def min_dcf(scores: list[float], targets: list[bool], weights: list[int], p: float, cm: float, ca: float) -> float:
    costs = [cm * p * miss + ca * (1 - p) * alarm for miss, alarm in points(scores, targets, weights)]
    return float(min(costs)) / min(cm * p, ca * (1 - p))


def pairs(embeddings: list[list[float]], speakers: list[int]) -> list[tuple[float, bool]]:
    """Cosine, and whether the speaker is the same, of every pair."""
    found = []
    for i, one in enumerate(embeddings):
        for j in range(i + 1, len(embeddings)):
            other = embeddings[j]
            dot = sum(a * b for a, b in zip(one, other, strict=True))
            size = math.hypot(*one) * math.hypot(*other)
            found.append((dot / size, speakers[i] == speakers[j]))
    return found


def sinc_resample(values: list[float], old: int, new: int, count: int) -> list[float]:
    """Ideal interpolation of a finite signal: x(t) = Σ xₙ c sinc(c (t·old − n)), c = min(1, new/old)."""
    cut = min(1.0, new / old)
    found = []
    for m in range(count):
        t, total = m * old / new, 0.0
        for n, value in enumerate(values):
            x = cut * (t - n)
            total += value * cut * (1.0 if x == 0 else math.sin(math.pi * x) / (math.pi * x))
        found.append(total)
    return found
