"""Schemas of log-ins, tokens and users."""

from __future__ import annotations

from typing import Any

from marshmallow import EXCLUDE, Schema, ValidationError, fields, pre_load

from api.schemas.response_fields import Timestamp
from shared.accounts import SCOPES
from shared.script.schema.containers import StrictList
from shared.script.schema.fields import Choice, PatternString, StrictBoolean, StrictString
from shared.script.schema.loading import StrictSchema
from shared.security.passwords import MAX_LENGTH, MIN_LENGTH
from shared.security.users import USERNAME_PATTERN

_MAX_TYPED = 1024  # characters of a password at log-in: longer than any that can be set, so that nobody is told it is too long
GRANTS = ("password", "client_credentials", "refresh_token")


class OAuthRequestSchema(Schema):
    """The base of OAuth requests: unknown members are ignored, and empty ones count as absent (RFC 6749, 3.2)."""

    error_messages = {"type": "Must be an object."}  # noqa: RUF012 (marshmallow declares it so)

    class Meta(Schema.Meta):
        """Ignore members that OAuth clients may send in addition."""

        unknown = EXCLUDE

    @pre_load
    def _without_empty(self, data: Any, **_: Any) -> Any:
        if not isinstance(data, dict):
            raise ValidationError("Must be an object.")
        return {name: value for name, value in data.items() if value != ""}


class TokenRequestSchema(OAuthRequestSchema):
    """The credentials for new tokens: a user's password, an API key, or a refresh token."""

    grant_type = StrictString(
        100, required=True, description=f"One of {', '.join(f'`{grant}`' for grant in GRANTS)}."
    )
    username = StrictString(100, description="With `password`.")
    password = StrictString(_MAX_TYPED, description="The user's.")
    new_password = StrictString(
        _MAX_TYPED, description=f"Replaces the password, with {MIN_LENGTH} to {MAX_LENGTH} characters."
    )
    client_id = StrictString(
        100, description="With `client_credentials`: the key's id; may be sent by HTTP Basic instead."
    )
    client_secret = StrictString(200, description="The key, or only the secret part of it.")
    refresh_token = StrictString(200, description="With `refresh_token`.")
    scope = StrictString(
        200, description="Scopes separated by spaces; all that the user or key has by default."
    )


class RefreshRequestSchema(OAuthRequestSchema):
    """A refresh token, which this request uses up."""

    refresh_token = StrictString(200, required=True)
    scope = StrictString(
        200, description="Scopes of the new access token, among those of the log-in; all by default."
    )


class RevocationSchema(OAuthRequestSchema):
    """Any token of the log-in to end."""

    token = StrictString(4096, required=True)
    token_type_hint = StrictString(100, description="Accepted for compatibility, and ignored.")


class TokensSchema(Schema):
    """The tokens of a log-in. The refresh token can be used once."""

    access_token = fields.String(metadata={"description": "A JWT, for `Authorization: Bearer`."})
    token_type = fields.String(metadata={"enum": ["Bearer"]})
    expires_in = fields.Integer(metadata={"description": "Seconds until the access token expires."})
    refresh_token = fields.String()
    refresh_expires_in = fields.Integer(metadata={"description": "Seconds until the log-in expires."})
    scope = fields.String()


class NewPassword(StrictString):
    """A new password."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(MAX_LENGTH, minimum=MIN_LENGTH, one_line=True, **kwargs)

    def check(self, value: Any) -> str:
        """Refuse a password that is too short or repeats a few characters."""
        if isinstance(value, str) and len(value) < MIN_LENGTH:
            raise ValidationError(f"Must have at least {MIN_LENGTH} characters.")
        text = super().check(value)
        if len(set(text)) < 5:
            raise ValidationError("Must have at least 5 different characters.")
        return text

    def problem_with(self, value: str) -> str | None:
        """Return what is wrong with a password, or None."""
        try:
            self.check(value)
        except ValidationError as error:
            return str(error.messages[0])
        return None


def scopes(**kwargs: Any) -> StrictList:
    """Return a field for a user's scopes."""
    return StrictList(Choice(SCOPES), minimum=1, maximum=len(SCOPES), unique=True, **kwargs)


class NewUserSchema(StrictSchema):
    """A user to create."""

    username = PatternString(
        USERNAME_PATTERN,
        "Must consist of letters, digits and . _ @ + -, and start with a letter or digit.",
        maximum=100,
        required=True,
    )
    scopes = scopes(required=True)
    password = NewPassword(
        description="Without one, a one-time password is created, and shown in this response alone."
    )


class UserChangeSchema(StrictSchema):
    """The changes to a user."""

    scopes = scopes()
    password = NewPassword(description="Ends all log-ins of the user.")
    disabled = StrictBoolean(description="Ends all log-ins of the user.")


class UserSchema(Schema):
    """A user, who logs in with a password."""

    user_id = fields.UUID(attribute="id")
    account_id = fields.UUID()
    username = fields.String()
    scopes = fields.List(fields.String())
    created_at = Timestamp()
    disabled_at = Timestamp(allow_none=True)
    one_time_until = Timestamp(
        allow_none=True,
        metadata={
            "description": "When the one-time password expires unless it is used; null for other passwords."
        },
    )


class NewPasswordUserSchema(UserSchema):
    """A user with the one-time password that was created."""

    password = fields.String(
        allow_none=True,
        metadata={"description": "The one-time password, shown only here; null where none was created."},
    )


class UsersSchema(Schema):
    """All users of an account."""

    data = fields.List(fields.Nested(UserSchema))
