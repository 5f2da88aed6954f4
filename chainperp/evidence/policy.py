"""Trust policies: whose signatures make a checkpoint believable, from a C2SP tlog-policy file.

Decides whether the log and enough witnesses signed. Never decides whom to list: that is the
reader's own choice, and changing the file is a visible act.

    log <vkey> [<url>]
    witness <name> <vkey> [<url>]
    group <name> all|any|<k> <member> …
    quorum <name>|none

A file is octets; items are separated by spaces and tabs only, `#` starts a comment line. A name
is defined before it is used, and is a member of one group at most, so that no witness counts
twice. Every line that is not exactly of this form is refused: a policy read in two ways is none.

Source: C2SP tlog-policy; audit-log-and-consensus 8.3.
"""

from dataclasses import dataclass, field
from typing import Final

from chainperp.base.errors import BadRequest, InvalidProof
from chainperp.evidence.checkpoint import Checkpoint, parse_checkpoint
from chainperp.evidence.note import (
    KIND_COSIGNATURE,
    KIND_ED25519,
    Note,
    Signature,
    Status,
    VerifierKey,
    Verify,
    check_note,
    parse_count,
    parse_note,
    parse_vkey,
)

FILE_BYTES_MAX: Final = 256 * 1024
LINES_MAX: Final = 1024
NONE: Final = "none"


@dataclass(frozen=True, slots=True)
class LogRow:
    """A log whose checkpoints are accepted; its key's name is the origin."""

    key: VerifierKey
    url: str | None


@dataclass(frozen=True, slots=True)
class WitnessRow:
    """A cosigner under the name that groups use, with its submission prefix if the file has one."""

    name: str
    key: VerifierKey
    url: str | None


@dataclass(frozen=True, slots=True)
class GroupRow:
    """Members of which `needed` must have signed."""

    name: str
    needed: int
    members: tuple[str, ...]


@dataclass(slots=True)
class Policy:
    """A policy file. `quorum` names a witness, a group, or "none": the log alone suffices."""

    logs: list[LogRow] = field(default_factory=list)
    witnesses: list[WitnessRow] = field(default_factory=list)
    groups: list[GroupRow] = field(default_factory=list)
    quorum: str = ""


@dataclass(frozen=True, slots=True)
class PolicyAnswer:
    """What a policy says of one checkpoint.

    `log` is the first log key of the origin that signed. `signed` has each witness that cosigned,
    by its name in the file; `met` the groups that are satisfied, in the order of the file.
    """

    checkpoint: Checkpoint
    log: Signature
    signed: dict[str, Signature]
    met: tuple[str, ...]
    quorum: str
    is_met: bool

    @property
    def is_verified(self) -> bool:
        """The quorum is met and every signature that counts has been checked."""
        counted = (self.log, *self.signed.values())
        return self.is_met and all(one.status is Status.VERIFIED for one in counted)

    def sentence(self) -> str:
        """The answer in words."""
        names = ", ".join(_shown(name) for name in self.signed) or "no witness"
        outcome = "met" if self.is_met else "NOT met"
        return (
            f"size {self.checkpoint.size} of {self.checkpoint.origin}: quorum "
            f"{_shown(self.quorum)} is "
            f"{outcome}, cosigned by {names}"
        )


def parse_policy(raw: bytes) -> Policy:
    """Policy of a file's bytes.

    Raises: BadRequest `policy`, naming the line, for octets that are not allowed, an unknown
    keyword, a wrong number of items, a malformed key or one of the wrong kind, a key or name
    defined twice, a name used before it is defined or in two groups, a threshold outside
    1..members, and anything but exactly one quorum line.
    """
    if len(raw) > FILE_BYTES_MAX:
        raise BadRequest("policy", f"policy has {len(raw)} bytes, at most {FILE_BYTES_MAX}")
    lines = raw.split(b"\n")
    if len(lines) > LINES_MAX:
        raise BadRequest("policy", f"policy has {len(lines)} lines, at most {LINES_MAX}")
    reader = _Reader()
    for number, line in enumerate(lines, 1):
        bad = [octet for octet in line if (octet < 0x20 and octet != 0x09) or octet == 0x7F]
        try:
            if bad:
                raise InvalidProof(f"octet {bad[0]:02x} is not allowed")
            reader.read(_items(line))
        except InvalidProof as error:
            raise BadRequest("policy", f"policy line {number}: {error}") from error
    if not reader.policy.quorum:
        raise BadRequest("policy", "policy has no quorum line")
    return reader.policy


def _items(line: bytes) -> list[str]:
    """Items of a line; none for a comment. Octets above 7F stay themselves, as escapes."""
    pieces = [piece for piece in line.replace(b"\t", b" ").split(b" ") if piece]
    if pieces and pieces[0].startswith(b"#"):
        return []
    return [piece.decode("utf-8", "surrogateescape") for piece in pieces]


class _Reader:
    """Reads lines into a policy; remembers which names are defined and already members."""

    def __init__(self) -> None:
        self.policy = Policy()
        self.members: dict[str, str] = {}
        self.defined: dict[str, None] = {}

    def read(self, items: list[str]) -> None:
        if not items:
            return
        keyword, rest = items[0], items[1:]
        if keyword == "log":
            self._log(rest)
        elif keyword == "witness":
            self._witness(rest)
        elif keyword == "group":
            self._group(rest)
        elif keyword == "quorum":
            self._quorum(rest)
        else:
            raise InvalidProof(f"unknown keyword {keyword[:40]!a}")

    def _log(self, items: list[str]) -> None:
        if len(items) not in (1, 2):
            raise InvalidProof(f"log takes a key and at most a URL, found {len(items)} items")
        key = _key(items[0], KIND_ED25519, [row.key for row in self.policy.logs])
        self.policy.logs.append(LogRow(key, _second(items, 1)))

    def _witness(self, items: list[str]) -> None:
        if len(items) not in (2, 3):
            raise InvalidProof(
                f"witness takes a name, a key and at most a URL, found {len(items)} items"
            )
        key = _key(items[1], KIND_COSIGNATURE, [row.key for row in self.policy.witnesses])
        self._define(items[0])
        self.policy.witnesses.append(WitnessRow(items[0], key, _second(items, 2)))

    def _group(self, items: list[str]) -> None:
        if len(items) < 3:
            raise InvalidProof(
                f"group takes a name, a threshold and members, found {len(items)} items"
            )
        name, threshold, members = items[0], items[1], items[2:]
        for member in members:
            self._use(member)
            if member in self.members:
                raise InvalidProof(
                    f"{member!a} is a member of group {self.members[member]!a} already"
                )
            self.members[member] = name
        needed = _threshold(threshold, len(members))
        self._define(name)
        self.policy.groups.append(GroupRow(name, needed, tuple(members)))

    def _quorum(self, items: list[str]) -> None:
        if len(items) != 1:
            raise InvalidProof(f"quorum takes one name, found {len(items)} items")
        if self.policy.quorum:
            raise InvalidProof(f"the quorum is {self.policy.quorum!a} already")
        if items[0] != NONE:
            self._use(items[0])
        self.policy.quorum = items[0]

    def _define(self, name: str) -> None:
        if name == NONE:
            raise InvalidProof("the name none is taken: it stands for no cosignature")
        if name in self.defined:
            raise InvalidProof(f"the name {name!a} is defined already")
        self.defined[name] = None

    def _use(self, name: str) -> None:
        if name not in self.defined:
            raise InvalidProof(f"the name {name!a} is not defined above")


def _shown(name: str) -> str:
    """A name as it can be printed: octets that are no text become escapes."""
    return name.encode("utf-8", "backslashreplace").decode()


def _second(items: list[str], place: int) -> str | None:
    return items[place] if len(items) > place else None


def _key(text: str, kind: int, others: list[VerifierKey]) -> VerifierKey:
    if _shown(text) != text:
        raise InvalidProof(f"key is not UTF-8: was {text[:60]!a}")
    key = parse_vkey(text)
    if key.kind != kind:
        raise InvalidProof(f"key of {key.name} has kind {key.kind:02x}, expected {kind:02x}")
    for other in others:
        if other.public == key.public:
            raise InvalidProof(f"key of {key.name} is defined already, as that of {other.name}")
    return key


def _threshold(text: str, members: int) -> int:
    if text in ("any", "all"):
        return 1 if text == "any" else members
    needed = parse_count(text.encode("utf-8", "surrogateescape"), "threshold")
    if not 1 <= needed <= members:
        raise InvalidProof(f"threshold is {needed}, the group has {members} members")
    return needed


def check_policy(
    policy: Policy, raw: bytes, verify: Verify | None, log_key: VerifierKey | None = None
) -> PolicyAnswer:
    """Who signed a checkpoint, and whether that is enough.

    `log_key` is a log that the caller knows from elsewhere, beside those of the file. With
    `verify` None every signature is "not checked": see `is_verified`.
    Raises: InvalidProof for a malformed note, an origin that is none of the logs, a known key
    whose signature fails, or a checkpoint that no log key of the origin signed. A quorum that is
    not met is an answer, not an error.
    """
    note = parse_note(raw)
    checkpoint = parse_checkpoint(note.text)
    logs = [row.key for row in policy.logs]
    if log_key is not None and log_key not in logs:
        logs.append(log_key)
    own = [key for key in logs if key.name == checkpoint.origin]
    if not own:
        raise InvalidProof(f"checkpoint is of {checkpoint.origin!r}, the policy has no such log")
    log = _log_signature(note, own, verify)
    names = {row.key: row.name for row in policy.witnesses}
    cosigned = check_note(note, list(names), verify)
    signed = {names[one.key]: one for one in cosigned}
    met = dict.fromkeys(signed)
    groups: list[str] = []
    for group in policy.groups:
        if len([member for member in group.members if member in met]) >= group.needed:
            met[group.name] = None
            groups.append(group.name)
    is_met = policy.quorum == NONE or policy.quorum in met
    return PolicyAnswer(checkpoint, log, signed, tuple(groups), policy.quorum, is_met)


def _log_signature(note: Note, own: list[VerifierKey], verify: Verify | None) -> Signature:
    found = check_note(note, own, verify)
    if not found:
        ids = ", ".join(key.key_id.hex() for key in own)
        raise InvalidProof(f"checkpoint has no signature of {own[0].name} (key id {ids})")
    return found[0]
