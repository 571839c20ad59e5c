"""Log-ins as they are asked for and answered, and users as operators make and see them."""

from __future__ import annotations

from typing import Any

from marshmallow import EXCLUDE, Schema, ValidationError, fields, pre_load

from api.schemas.response_fields import Timestamp
from shared.accounts import SCOPES
from shared.script.schema.containers import Items
from shared.script.schema.fields import Choice, Flag, Pattern, Words
from shared.script.schema.loading import Strict
from shared.security.passwords import LEAST, MOST
from shared.security.users import USERNAME

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

    grant_type = Words(100, required=True, about=f"One of {', '.join(f'`{grant}`' for grant in GRANTS)}.")
    username = Words(100, about="With `password`.")
    password = Words(_MAX_TYPED, about="The user's.")
    new_password = Words(_MAX_TYPED, about=f"Sets another from now on, of {LEAST} to {MOST} characters.")
    client_id = Words(100, about="With `client_credentials`: the key's id. Or by HTTP Basic.")
    client_secret = Words(200, about="The key, or the secret in it.")
    refresh_token = Words(200, about="With `refresh_token`.")
    scope = Words(200, about="Scopes with blanks between, of those that are held; else all of them.")


class RefreshRequestSchema(OAuthRequestSchema):
    """A refresh token. It is used up by this."""

    refresh_token = Words(200, required=True)
    scope = Words(200, about="Fewer scopes than the log-in has, for this access token.")


class RevocationSchema(OAuthRequestSchema):
    """Any token of the log-in that is to end."""

    token = Words(4096, required=True)
    token_type_hint = Words(100, about="Is not needed: the tokens tell themselves apart.")


class TokensSchema(Schema):
    """Tokens of a log-in. The refresh token is good for one use."""

    access_token = fields.String(metadata={"description": "A JWT, for `Authorization: Bearer`."})
    token_type = fields.String(metadata={"enum": ["Bearer"]})
    expires_in = fields.Integer(metadata={"description": "Seconds, of the access token."})
    refresh_token = fields.String()
    refresh_expires_in = fields.Integer(metadata={"description": "Seconds, until the log-in is over."})
    scope = fields.String()


class NewPassword(Words):
    """A password that is to be set."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(MOST, least=LEAST, one_line=True, **kwargs)

    def check(self, value: Any) -> str:
        """Refuse what is too short, or a single character over and over."""
        if isinstance(value, str) and len(value) < LEAST:
            raise ValidationError(f"Must have {LEAST} characters or more.")
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


def scopes(**kwargs: Any) -> Items:
    """Return a field of what a user may do."""
    return Items(Choice(SCOPES), least=1, most=len(SCOPES), unique=True, **kwargs)


class NewUserSchema(Strict):
    """A user that is to be made."""

    username = Pattern(
        USERNAME, "Has letters, digits and . _ @ + -, a letter or digit first.", most=100, required=True
    )
    scopes = scopes(required=True)
    password = NewPassword(about="Without it a one-time password is made, and shown this once.")


class UserChangeSchema(Strict):
    """What is to be set of a user."""

    scopes = scopes()
    password = NewPassword(about="Ends all log-ins of the user.")
    disabled = Flag(about="Ends all log-ins of the user.")


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
