"""The report of `attune local` as a person reads it: tables of what happened, and examples.

Pure: takes the object that --json prints, gives text.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Results = Mapping[str, Any]


def render(results: Results, *, up: bool = False) -> str:
    """The whole report; with the addresses where the system stays up."""
    parts = [
        _heading("Every event accounted for"),
        _balance(results),
        _heading("Speed"),
        _speed(results),
        _heading("Did personalised offers help?"),
        _conversion(results),
        _heading("Customers, and why they see what they see"),
        *(_example(example) for example in results["examples"]),
    ]
    if up:
        parts += [_heading("Addresses"), table(list(results["endpoints"].items()))]
        parts.append("  each service also has /health/ready and /metrics")
    return "\n".join(parts)


def table(rows: Iterable[Sequence[object]]) -> str:
    """Rows in columns: numbers to the right, text to the left."""
    texts = [[_cell(cell) for cell in row] for row in rows]
    numeric = [[isinstance(cell, int | float) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    lines = []
    for row, numbers in zip(texts, numeric, strict=True):
        cells = [
            cell.rjust(width) if number else cell.ljust(width)
            for cell, width, number in zip(row, widths, numbers, strict=True)
        ]
        lines.append("  " + "  ".join(cells).rstrip())
    return "\n".join(lines)


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:,.1f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _heading(title: str) -> str:
    return f"\n{title}\n{'-' * len(title)}"


def _balance(results: Results) -> str:
    events, verified = results["events"], results["verify"]
    reasons = ", ".join(f"{name} {count}" for name, count in events["reasons"].items())
    verdict = "it adds up" if results["balanced"] else "IT DOES NOT ADD UP"
    return table(
        [
            ("received", events["received"], "raw events in the log"),
            ("= applied", events["applied"], "changed a profile, exactly once"),
            ("+ deduplicated", events["deduplicated"], "the same event sent again"),
            ("+ dead letters", events["dead_lettered"], reasons),
            ("+ pending", events["pending"], verdict),
            (
                "profiles",
                verified["customers"],
                f"{verified['equal']:,} equal a single-threaded replay of the log",
            ),
        ]
    )


def _speed(results: Results) -> str:
    fresh, answer = results["freshness_ms"], results["recommend_ms"]
    return table(
        [
            ("", "p50", "p99", "n", ""),
            ("click to offer", fresh["p50"], fresh["p99"], fresh["n"], "ms, real time"),
            ("/v1/recommend", answer["p50"], answer["p99"], answer["n"], "ms, as the shop sees it"),
            ("events/s applied", results["events_per_second"], None, None, ""),
        ]
    )


def _conversion(results: Results) -> str:
    conversion = results["conversion"]
    rows: list[Sequence[object]] = [("offers", "visits", "bought", "rate")]
    for arm in ("personalised", "random"):
        shown, converted = conversion[arm]["shown"], conversion[arm]["converted"]
        rate = f"{converted / shown:.1%}" if shown else "-"
        rows.append((arm, shown, converted, rate))
    return table(rows) + "\n  " + _lift(conversion)


def _lift(conversion: Results) -> str:
    low, high = conversion["ci95"]
    if conversion["lift"] is None:
        return "no lift: too few purchases to compare"
    if low is None:
        return f"lift {conversion['lift']:+.0%}, too few purchases for an interval"
    return f"lift {conversion['lift']:+.0%}, 95% interval {low:+.0%} to {high:+.0%} (by shopper)"


def _example(example: Results) -> str:
    likes, profile = " and ".join(example["likes"]), example["profile"]
    lines = [
        f"  {example['customer']} ({example['country']}) truly likes {likes}; "
        f"visits {example['visits']}, orders {profile['orders']}",
        f"    Attune found   {_liked(profile['affinities'])}",
    ]
    if profile["cart"]:
        lines.append(f"    in the cart    {', '.join(profile['cart'][:4])}")
    fallback = "" if example["fallback"] == "none" else f" (fallback: {example['fallback']})"
    lines.append(f"    {example['arm']} offers{fallback}")
    for offer in example["offers"]:
        lines.append(f"    {offer['rank']}. {offer['title']}")
        lines += [f"         {why}" for why in offer["because"]]
    return "\n".join(lines) + "\n"


def _liked(affinities: Results) -> str:
    best = [value for name in ("category", "brand") for value, _ in affinities.get(name, [])[:2]]
    return ", ".join(best) or "nothing yet"
