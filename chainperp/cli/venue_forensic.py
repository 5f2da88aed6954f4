"""What `chainperp lab forensic` says of another venue's table.

Which published ranking explains its closures, whom each leaves unexplained, and what a table like
this can and cannot show.
"""

from pathlib import Path
from typing import Any

from chainperp.base.errors import BadRequest
from chainperp.cli.output import counted
from chainperp.lab.forensic import BY_NAME, RANKINGS, Fit, Ranking, examine
from chainperp.lab.group_test import below_marginal, p_unrelated
from chainperp.lab.venue_csv import read_venue
from chainperp.lab.venue_round import VenueRound

CAN = (
    "can show: that a ranking does not explain these closures, and by which positions",
    "cannot show: that a ranking which fits was the one used; that no account is exempt, when it "
    "is missing from the table; that published values are true",
)
UNTESTED = (
    "the table has no position that was left alone or closed in part: with closed accounts only, "
    "neither an order nor an exemption can be tested"
)
NAMED_MAX = 10
Found = tuple[dict[str, Any], list[str]]


def examine_venue(path: Path, fills: Path | None, policy: str | None) -> tuple[Found, bool]:
    """Every ranking against every round of a table; False when `policy` does not explain all."""
    if policy is not None and policy not in BY_NAME:
        raise BadRequest("policy", f"no ranking {policy}: there are {', '.join(BY_NAME)}")
    rounds = read_venue(path, fills)
    wanted = RANKINGS if policy is None else (BY_NAME[policy],)
    fits: dict[str, list[tuple[VenueRound, Fit]]] = {}
    for ranking in wanted:
        if all(set(ranking.needs) <= one.known for one in rounds):
            fits[ranking.name] = [(one, examine(one.positions, ranking)) for one in rounds]
    document = _venue_document(rounds, fits, wanted)
    lines = _venue_lines(document)
    explained = policy is None or (
        policy in fits and not any(fit.out_of_order for _one, fit in fits[policy])
    )
    if policy is not None and policy not in fits:
        needs = ", ".join(BY_NAME[policy].needs)
        raise BadRequest("policy", f"{policy} needs of every position: {needs}")
    return (document, lines), explained


def _venue_document(
    rounds: list[VenueRound],
    fits: dict[str, list[tuple[VenueRound, Fit]]],
    wanted: tuple[Ranking, ...],
) -> dict[str, Any]:
    positions = sum(len(one.positions) for one in rounds)
    closed = sum(position.taken > 0 for one in rounds for position in one.positions)
    left = sum(position.taken < position.most for one in rounds for position in one.positions)
    rows = []
    for ranking in wanted:
        row: dict[str, Any] = {"ranking": ranking.name, "says": ranking.title}
        if ranking.name not in fits:
            known = rounds[0].known if rounds else frozenset()
            row |= {"tested": False, "lacks": [need for need in ranking.needs if need not in known]}
        else:
            row |= _fit_row(fits[ranking.name])
            row["groups"] = [_group_row(one, ranking) for one in rounds]
        rows.append(row)
    return {
        "rounds": len(rounds),
        "positions": positions,
        "closed": closed,
        "left": left,
        "exempt_in_public": sum(one.exempt for one in rounds),
        "closed_at_a_loss": sum(
            position.taken > 0 and position.candidate.pnl < 0
            for one in rounds
            for position in one.positions
        ),
        "closed_with_negative_value": sum(
            position.taken > 0 and position.candidate.account_value < 0
            for one in rounds
            for position in one.positions
        ),
        "known": sorted(rounds[0].known) if rounds else [],
        "rankings": rows,
    }


def _fit_row(found: list[tuple[VenueRound, Fit]]) -> dict[str, Any]:
    def names(part: str) -> list[dict[str, str]]:
        return [
            {"round": one.name, "account": one.positions[at].candidate.key.decode()}
            for one, fit in found
            for at in getattr(fit, part)
        ]

    return {
        "tested": any(fit.is_tested for _one, fit in found),
        "lacks": [],
        "fitting": sum(fit.fitting for _one, fit in found),
        "out_of_order": sum(fit.out_of_order for _one, fit in found),
        "passed_over": names("passed_over"),
        "before_turn": names("before_turn"),
    }


def _group_row(one: VenueRound, ranking: Ranking) -> dict[str, Any]:
    """A round's own p-value, or why it has none."""
    count = below_marginal(one.positions, ranking)
    if isinstance(count, str):
        return {"round": one.name, "p_unrelated": None, "why_not": count}
    p = round(p_unrelated(count), 9)
    return {"round": one.name, "whole": count.whole, "below": count.below, "p_unrelated": p}


def _group_line(row: dict[str, Any]) -> list[str]:
    groups = row["groups"]
    testable = [one for one in groups if one["p_unrelated"] is not None]
    if not testable:
        return [f"  p-values: in no round, {groups[0]['why_not']}"] if groups else []
    low = sum(one["p_unrelated"] <= 0.05 for one in testable)
    below = sum(one["below"] for one in testable)
    return [
        f"  p-values: {len(testable)} of {counted(len(groups), 'round')}; {below} whole closures "
        f"rank below a partly closed one; {low} have p <= 0.05 that its place is chance"
    ]


def _venue_lines(document: dict[str, Any]) -> list[str]:
    lines = [
        f"{document['positions']} positions in {counted(document['rounds'], 'round')}: "
        f"{document['closed']} closed at least in part, {document['left']} left alone or in part"
    ]
    if document["exempt_in_public"]:
        lines.append(f"{document['exempt_in_public']} are exempt in public and left out")
    for key, words in (
        ("pnl", "closed_at_a_loss"),
        ("account_value", "closed_with_negative_value"),
    ):
        if key in document["known"]:
            lines.append(f"{document[words]} were {words.replace('_', ' ')}")
    tested = [row for row in document["rankings"] if row["tested"]]
    for row in document["rankings"]:
        title = f"{row['ranking']:<24}"
        if row["lacks"]:
            lines.append(f"{title}not tested: the table lacks {', '.join(row['lacks'])}")
        elif not row["tested"]:
            lines.append(f"{title}not tested: nothing was left to compare with")
        else:
            lines.append(
                f"{title}{row['fitting']} of {document['closed']} closures fit, "
                f"{row['out_of_order']} out of order: {len(row['passed_over'])} passed over, "
                f"{len(row['before_turn'])} closed before their turn"
            )
            lines += _group_line(row)
    lines += _named(tested)
    if not document["left"]:
        lines.append(UNTESTED)
    return [*lines, *CAN]


def _named(tested: list[dict[str, Any]]) -> list[str]:
    """The ranking that leaves least to explain, and whom it leaves."""
    if not tested:
        return []
    least = min(row["out_of_order"] for row in tested)
    best = [row for row in tested if row["out_of_order"] == least]
    names = ", ".join(row["ranking"] for row in best)
    lines = [f"least out of order ({least}): {names}"]
    for part, words in (("passed_over", "passed over"), ("before_turn", "before its turn")):
        found = best[0][part]
        lines += [
            f"  {words}: {one['account']} in round {one['round']}" for one in found[:NAMED_MAX]
        ]
        if len(found) > NAMED_MAX:
            lines.append(f"  and {len(found) - NAMED_MAX} more {words}: --json lists them")
    return lines
