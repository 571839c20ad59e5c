"""Log-ins as they are asked for and answered, and users as operators make and see them."""

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

_MAX_TYPED = 1024  # characters of a password that is tried: more than any that can be set
GRANTS = ("password", "client_credentials", "refresh_token")


class OAuthRequestSchema(Schema):
    """The base of what an OAuth client sends: unknown members are passed over and empty ones left out (RFC 6749, 3.2)."""

    error_messages = {"type": "Must be an object."}  # noqa: RUF012 (marshmallow declares it so)

    class Meta(Schema.Meta):
        """Pass over what a client of OAuth may send besides."""

        unknown = EXCLUDE

    @pre_load
    def _without_empty(self, data: Any, **_: Any) -> Any:
        if not isinstance(data, dict):
            raise ValidationError("Must be an object.")
        return {name: value for name, value in data.items() if value != ""}


class TokenRequestSchema(OAuthRequestSchema):
    """What is given for tokens: a user's password, an API key, or a refresh token."""

    grant_type = StrictString(
        100, required=True, description=f"One of {', '.join(f'`{grant}`' for grant in GRANTS)}."
    )
    username = StrictString(100, description="With `password`.")
    password = StrictString(_MAX_TYPED, description="The user's.")
    new_password = StrictString(
        _MAX_TYPED, description=f"Sets another from now on, of {MIN_LENGTH} to {MAX_LENGTH} characters."
    )
    client_id = StrictString(100, description="With `client_credentials`: the key's id. Or by HTTP Basic.")
    client_secret = StrictString(200, description="The key, or the secret in it.")
    refresh_token = StrictString(200, description="With `refresh_token`.")
    scope = StrictString(
        200, description="Scopes with blanks between, of those that are held; else all of them."
    )


class RefreshRequestSchema(OAuthRequestSchema):
    """A refresh token. It is used up by this."""

    refresh_token = StrictString(200, required=True)
    scope = StrictString(200, description="Fewer scopes than the log-in has, for this access token.")


class RevocationSchema(OAuthRequestSchema):
    """Any token of the log-in that is to end."""

    token = StrictString(4096, required=True)
    token_type_hint = StrictString(100, description="Is not needed: the tokens tell themselves apart.")


class TokensSchema(Schema):
    """Tokens of a log-in. The refresh token is good for one use."""

    access_token = fields.String(metadata={"description": "A JWT, for `Authorization: Bearer`."})
    token_type = fields.String(metadata={"enum": ["Bearer"]})
    expires_in = fields.Integer(metadata={"description": "Seconds, of the access token."})
    refresh_token = fields.String()
    refresh_expires_in = fields.Integer(metadata={"description": "Seconds, until the log-in is over."})
    scope = fields.String()


class NewPassword(StrictString):
    """A password that is to be set."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(MAX_LENGTH, minimum=MIN_LENGTH, one_line=True, **kwargs)

    def check(self, value: Any) -> str:
        """Refuse what is too short, or a single character over and over."""
        if isinstance(value, str) and len(value) < MIN_LENGTH:
            raise ValidationError(f"Must have {MIN_LENGTH} characters or more.")
        text = super().check(value)
        if len(set(text)) < 5:
            raise ValidationError("Must have 5 different characters or more.")
        return text

    def problem_with(self, value: str) -> str | None:
        """Return what is wrong with a password, or None."""
        try:
            self.check(value)
        except ValidationError as error:
            return str(error.messages[0])
        return None


def scopes(**kwargs: Any) -> StrictList:
    """Return a field of what a user may do."""
    return StrictList(Choice(SCOPES), minimum=1, maximum=len(SCOPES), unique=True, **kwargs)


class NewUserSchema(StrictSchema):
    """A user that is to be made."""

    username = PatternString(
        USERNAME_PATTERN,
        "Has letters, digits and . _ @ + -, a letter or digit first.",
        maximum=100,
        required=True,
    )
    scopes = scopes(required=True)
    password = NewPassword(description="Without it a one-time password is made, and shown this once.")


class UserChangeSchema(StrictSchema):
    """What is to be set of a user."""

    scopes = scopes()
    password = NewPassword(description="Ends all log-ins of the user.")
    disabled = StrictBoolean(description="Ends all log-ins of the user.")


class UserSchema(Schema):
    """Who logs in with a password."""

    user_id = fields.UUID(attribute="id")
    account_id = fields.UUID()
    username = fields.String()
    scopes = fields.List(fields.String())
    created_at = Timestamp()
    disabled_at = Timestamp(allow_none=True)
    one_time_until = Timestamp(
        allow_none=True,
        metadata={"description": "Where the password is a one-time password: when it ends, unused."},
    )


class NewPasswordUserSchema(UserSchema):
    """A user with the one-time password that was made."""

    password = fields.String(
        allow_none=True, metadata={"description": "Shown this once. Null: none was made."}
    )


class UsersSchema(Schema):
    """All users of an account."""

    data = fields.List(fields.Nested(UserSchema))
