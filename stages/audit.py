"""Audit the data: what the splits hold as delivered, which texts are repeated, which leak, which look broken.

In:  data/raw/, the `audit` params
Out: metrics/data.json (figures), data/audit/findings.csv (the rows behind them)
Run: python -m stages.audit

The figures are of the splits as delivered: rows of a carved split count as train's. Leaks are looked for in validation
and test as they are used.
"""

import json
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from stages import entry, errors, paths, provenance
from stages.outputs import staged
from stages.params import Section, load

if TYPE_CHECKING:
    import pandas as pd


class AuditParams(Section):
    """How many bad rows the data may have before the pipeline stops."""

    max_leaked_rows: Annotated[int, Field(ge=0)] | None = Field(
        description="how many validation and test rows may have an exact or near duplicate in train; null: any number"
    )
    max_conflicting_rows: Annotated[int, Field(ge=0)] | None = Field(
        description="how many rows may differ in label from their split's first row of the same text; null: any number"
    )


def figures(rows: "pd.DataFrame", found: "pd.DataFrame", skipped: dict[str, dict[str, int]]) -> dict[str, Any]:
    """The content of data.json; ``skipped`` counts the rows of each split that download left out."""
    from stages import findings

    leaked = {split: found[(found["finding"] == "leaked") & (found["split"] == split)] for split in paths.EVALUATED}
    return {
        "splits": {split: findings.describe(part) for split, part in rows.groupby("delivered", sort=False)},
        "skipped_rows": skipped,
        "shared_texts": findings.shared_texts(rows),
        "leaked_rows": {
            split: {"rows": len(part), "equal": int((part["similarity"] == 1).sum())} for split, part in leaked.items()
        },
    }


def table(report: dict[str, Any]) -> str:
    """The figures of the splits side by side, however wide."""
    import pandas as pd

    columns = {split: _lines(described) for split, described in report["splits"].items()}
    with pd.option_context("display.unicode.east_asian_width", True):  # noqa: FBT003 - pandas' own way
        return str(pd.DataFrame(columns).to_string())


def _lines(described: dict[str, Any]) -> dict[str, str]:
    counts = {f"  {label}": f"{count} {count / described['rows']:6.1%}" for label, count in described["labels"].items()}
    words = {f"words, {name}": str(count) for name, count in described["words"].items()}
    rest = {name.replace("_", " "): str(count) for name, count in described.items() if isinstance(count, int)}
    return {"rows": rest.pop("rows")} | counts | words | rest


def check_limits(params: AuditParams, found: "pd.DataFrame") -> None:
    """Compare what was found with the limits in params.yaml.

    Raises:
        InputError: there are more leaked or conflicting rows than the params allow.
    """
    for finding, key in (("leaked", "max_leaked_rows"), ("conflicting", "max_conflicting_rows")):
        rows, limit = found[found["finding"] == finding], getattr(params, key)
        if limit is not None and len(rows) > limit:
            one = rows.iloc[0]
            raise errors.InputError(
                f"params.yaml: audit.{key} is {limit}, the data has {len(rows)}; the first is row {one['row']} (from "
                f"0) of {paths.raw(one['split'])}, {one['text'][:50]!r}, {one['label']}, beside row {one['other_row']} "
                f"of {paths.raw(one['other_split'])}, {one['other_label']}: fix the data, or raise the limit (with "
                f"null, {paths.FINDINGS} is written and lists them all)"
            )


def main() -> None:
    """Examine, say what is found, and stop where it is too much."""
    stamp = provenance.inputs("audit")
    params = load("audit", AuditParams)

    from stages import findings, tables

    with staged(stamp, paths.AUDIT, paths.FINDINGS) as (data, listing):
        carved, skipped = findings.read_delivery()
        rows = findings.read_rows(carved)
        found = findings.find(rows)
        report = figures(rows, found, skipped)
        print(table(report))
        for split, reasons in skipped.items():
            for reason, count in reasons.items():
                print(f"{split}: {count} rows left out: {reason}")
        for splits, shared in report["shared_texts"].items():
            print(f"{splits}: {shared['texts']} texts in both, {shared['other_label']} of them with another label")
        for split, leaked in report["leaked_rows"].items():
            mark = "warning: " if leaked["rows"] else ""
            equal = f"{leaked['equal']} of them equal but for case, punctuation and spacing"
            print(f"{mark}{split}: {leaked['rows']} rows are near-duplicates of train rows, {equal}")
        check_limits(params, found)
        data.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        tables.write_csv(listing, found.round({"similarity": 4}))  # only now: a near-duplicate is not to count as equal


if __name__ == "__main__":
    entry.run(main)
