"""Stores an account's templates: every version is kept, and a job uses one of them. Functions never commit.

Built-in templates exist in every account; a template of its own with the same id replaces them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, insert, select, update
from sqlalchemy.dialects.postgresql import distinct_on

from api.library.built_in import built_in, built_in_body
from shared.models import Account, Template

if TYPE_CHECKING:
    import uuid
    from collections.abc import Iterable
    from datetime import datetime

    from sqlalchemy.orm import Session


@dataclass(frozen=True, slots=True)
class TemplateVersion:
    """One version of a template. `body` is the document that was put."""

    template_id: str
    version: int
    body: dict[str, Any]
    created_at: datetime | None = None

    @property
    def built_in(self) -> bool:
        """Whether it is built in."""
        return self.created_at is None


def find(
    session: Session, account_id: uuid.UUID, template_id: str, version: int | None = None
) -> TemplateVersion | None:
    """Return a version of a template, the newest by default, or None."""
    return find_all(session, account_id, [(template_id, version)]).get((template_id, version))


def find_all(
    session: Session, account_id: uuid.UUID, keys: Iterable[tuple[str, int | None]]
) -> dict[tuple[str, int | None], TemplateVersion]:
    """Return those of the templates and versions that exist."""
    keys = set(keys)
    names = {name for name, _ in keys}
    numbers = {number for _, number in keys if number is not None}
    own = _existing(account_id).where(Template.template_id.in_(names)).subquery()
    highest = select(own.c.template_id, func.max(own.c.version)).group_by(own.c.template_id)
    newest: dict[str, int] = {name: number for name, number in session.execute(highest)}  # noqa: C416 (rows are no pairs to mypy)
    rows = session.scalars(
        _existing(account_id).where(
            Template.template_id.in_(newest), Template.version.in_(numbers | set(newest.values()))
        )
    )
    own = {(row.template_id, row.version): _version(row) for row in rows}
    versions = {}
    for name, number in keys:
        if name in newest:
            version = own.get((name, number or newest[name]))
        else:
            version = _built_in(name) if name in built_in() and number in (None, 1) else None
        if version:
            versions[(name, number)] = version
    return versions


def put(
    session: Session, account_id: uuid.UUID, template_id: str, body: dict[str, Any]
) -> tuple[TemplateVersion, bool]:
    """Store a template as its next version, and return it with whether it is new: an unchanged body adds no version."""
    # Lock the account: two concurrent puts would take the same version number.
    session.execute(select(Account.id).where(Account.id == account_id).with_for_update(key_share=True))
    last = session.scalar(
        select(Template)
        .where(Template.account_id == account_id, Template.template_id == template_id)
        .order_by(Template.version.desc())
        .limit(1)
    )
    # Unchanged bodies add no version, so that a repeated PUT in a deployment script stays harmless.
    if last is not None and last.deleted_at is None and last.body == body:
        return _version(last), False
    row = session.scalars(
        insert(Template)
        .values(
            account_id=account_id, template_id=template_id, version=last.version + 1 if last else 1, body=body
        )
        .returning(Template)
    ).one()
    return _version(row), True


def remove(session: Session, account_id: uuid.UUID, template_id: str) -> bool:
    """Delete a template of the account and return whether it existed. Version numbers are not reused."""
    deleted = session.scalars(
        update(Template)
        .where(
            Template.account_id == account_id,
            Template.template_id == template_id,
            Template.deleted_at.is_(None),
        )
        .values(deleted_at=func.now())
        .returning(Template.version)
    )
    return bool(deleted.all())


def page(
    session: Session, account_id: uuid.UUID, *, limit: int, after: str
) -> tuple[list[TemplateVersion], str | None]:
    """Return a page of templates by id, each at its newest version, and the cursor of the next page."""
    rows = session.scalars(
        _existing(account_id)
        .where(Template.template_id > after)
        .ext(distinct_on(Template.template_id))
        .order_by(Template.template_id, Template.version.desc())
        .limit(limit + 1)
    )
    own = {row.template_id: _version(row) for row in rows}
    built_ins = {name: _built_in(name) for name in built_in() if name > after}
    versions = [version for _, version in sorted({**built_ins, **own}.items())]
    return versions[:limit], versions[limit - 1].template_id if len(versions) > limit else None


def history(
    session: Session, account_id: uuid.UUID, template_id: str, *, limit: int, before: int | None
) -> tuple[list[TemplateVersion], int | None]:
    """Return a page of a template's versions, newest first, and the cursor of the next page."""
    query = _existing(account_id).where(Template.template_id == template_id)
    if before is not None:
        query = query.where(Template.version < before)
    rows = [
        _version(row) for row in session.scalars(query.order_by(Template.version.desc()).limit(limit + 1))
    ]
    if not rows and before is None and template_id in built_in():
        rows = [_built_in(template_id)]
    return rows[:limit], rows[limit - 1].version if len(rows) > limit else None


def _existing(account_id: uuid.UUID) -> Any:
    return select(Template).where(Template.account_id == account_id, Template.deleted_at.is_(None))


def _version(row: Template) -> TemplateVersion:
    return TemplateVersion(row.template_id, row.version, row.body, row.created_at)


def _built_in(name: str) -> TemplateVersion:
    return TemplateVersion(name, 1, built_in_body(name))
