"""Assembles the gateway. It connects to nothing: each connection is made by the first request that needs it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from api import auth, docs, health, problems
from api.accounts import admin, keys, tokens, usage, users, webhooks
from api.http import limits, measures, requests
from api.library import assets, catalogue, forms, resumable
from api.openapi import Gateway
from api.progress import artifacts, events, turns
from api.progress import tasks as task_views
from api.submission import batch, jobs
from shared.settings import Settings, settings

if TYPE_CHECKING:
    from flask_smorest import Api

VERSION = "0.1.0"
BLUEPRINTS = (
    jobs.blueprint,
    task_views.blueprint,
    artifacts.blueprint,
    batch.blueprint,
    events.blueprint,
    assets.blueprint,
    resumable.blueprint,
    tokens.blueprint,
    keys.blueprint,
    webhooks.blueprint,
    catalogue.blueprint,
    forms.blueprint,
    usage.blueprint,
    admin.blueprint,
    users.blueprint,
)


def create_app(config: Settings | None = None) -> Flask:
    """Return the gateway as a WSGI application."""
    config = config or settings()
    app = Flask("scenemill", static_folder=None, template_folder=str(docs.TEMPLATES))
    app.config.update(
        MAX_CONTENT_LENGTH=config.max_body,
        MAX_FORM_MEMORY_SIZE=64 * 1024,
        MAX_FORM_PARTS=20,
        TRAP_HTTP_EXCEPTIONS=False,
        SCENEMILL=config,
    )
    app.json.sort_keys = False  # type: ignore[attr-defined]  # the provider is Flask's default one
    # Else "/v1//tasks" leads to an address of the scheme and host that a proxy, or anyone, has named here.
    app.url_map.merge_slashes = False
    if config.trusted_proxies:
        app.wsgi_app = ProxyFix(  # type: ignore[method-assign]  # Flask's own way to wrap it
            app.wsgi_app, x_for=config.trusted_proxies, x_proto=0, x_host=0, x_port=0, x_prefix=0
        )
    problems.register(app)
    requests.register(app)
    turns.register(app, config)
    auth.register(app)
    limits.register(app, config)
    app.before_request(requests.refuse_nul)  # not before it is counted
    measures.register(app)
    resumable.register(app)
    app.extensions["openapi"] = _routes(app).spec
    return app


def _routes(app: Flask) -> Api:
    gateway = Gateway(app, spec_kwargs={"title": "Scenemill", "version": VERSION, "openapi_version": "3.1.0"})
    for blueprint in BLUEPRINTS:
        gateway.register_blueprint(blueprint)
    app.register_blueprint(health.blueprint)
    app.register_blueprint(docs.blueprint)
    return gateway
