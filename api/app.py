"""Assembles the Flask application: settings, error handlers, hooks and all routes. It connects to nothing."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from api import auth, health, problems
from api.accounts import admin, api_keys, token_routes, usage, users, webhooks
from api.assets import routes as asset_routes
from api.assets import tus_routes
from api.batches import routes as batch_routes
from api.http import rate_limits, request_context, request_metrics
from api.jobs import routes as job_routes
from api.library import catalog, templates
from api.openapi.resource import OpenApi
from api.reference import guide, home, pages
from api.reference.rendering import TEMPLATES
from api.tasks import artifact_routes, event_routes, sse_admission
from api.tasks import routes as task_routes
from shared.settings import Settings, settings

if TYPE_CHECKING:
    from flask_smorest import Api

VERSION = version("scenemill")
BLUEPRINTS = (
    job_routes.blueprint,
    task_routes.blueprint,
    artifact_routes.blueprint,
    batch_routes.blueprint,
    event_routes.blueprint,
    asset_routes.blueprint,
    tus_routes.blueprint,
    token_routes.blueprint,
    api_keys.blueprint,
    webhooks.blueprint,
    catalog.blueprint,
    templates.blueprint,
    usage.blueprint,
    admin.blueprint,
    users.blueprint,
)


def create_app(config: Settings | None = None) -> Flask:
    """Return the gateway as a WSGI application."""
    config = config or settings()
    app = Flask("scenemill", static_folder=None, template_folder=str(TEMPLATES))
    app.config.update(
        MAX_CONTENT_LENGTH=config.max_body_bytes,
        # Bounds for forms, which werkzeug would otherwise buffer in memory up to the limit of the body.
        MAX_FORM_MEMORY_SIZE=64 * 1024,
        MAX_FORM_PARTS=20,
        TRAP_HTTP_EXCEPTIONS=False,
        SCENEMILL=config,
    )
    # Sorted members would move `task_id` and `status`, which people look for first, into the middle of a task.
    app.json.sort_keys = False  # type: ignore[attr-defined]  # the provider is Flask's default one
    # Else "/v1//tasks" redirects to a URL whose scheme and host come from the request's own Host header.
    app.url_map.merge_slashes = False
    if config.trusted_proxies:
        # Trust the client address alone: a forwarded host or scheme would end up in URLs that responses contain.
        app.wsgi_app = ProxyFix(  # type: ignore[method-assign]  # Flask's own way to wrap it
            app.wsgi_app, x_for=config.trusted_proxies, x_proto=0, x_host=0, x_port=0, x_prefix=0
        )
    # Hooks run in this order: id and clock; a slot for an event stream, before any query; authentication; limits by account.
    problems.register(app)
    request_context.register(app)
    sse_admission.register(app, config)
    auth.register(app)
    rate_limits.register(app, config)
    app.before_request(
        request_context.refuse_nul_in_path
    )  # after rate limiting, so that such requests count too
    request_metrics.register(app)
    tus_routes.register(app)
    app.extensions["openapi"] = _register_routes(app).spec
    return app


def _register_routes(app: Flask) -> Api:
    gateway = OpenApi(app, spec_kwargs={"title": "Scenemill", "version": VERSION, "openapi_version": "3.1.0"})
    for blueprint in BLUEPRINTS:
        gateway.register_blueprint(blueprint)
    app.register_blueprint(health.blueprint)
    app.register_blueprint(pages.blueprint)
    app.register_blueprint(home.blueprint)
    app.register_blueprint(guide.blueprint)
    return gateway
