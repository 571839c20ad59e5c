"""The calls of the blocking client, grouped. Each line binds a call of `scenemill.calls`, where its text is."""

from __future__ import annotations

from scenemill.calls import accounts, admin, artifacts, assets, batches, jobs, library, tasks, webhooks
from scenemill.core.binding import Resource, call, iterate


class Jobs(Resource):
    """Submits jobs, or tells what would come of them."""

    submit = call(jobs.submit)
    dry_run = call(jobs.dry_run)
    estimate = call(jobs.estimate)


class Tasks(Resource):
    """Looks at tasks, follows them to their end, and fetches what they made."""

    get = call(tasks.get)
    list = iterate(tasks.listed)
    wait = call(tasks.wait)
    events = iterate(tasks.watch)
    cancel = call(tasks.cancel)
    retry = call(tasks.retry)
    delete = call(tasks.delete)
    download = call(artifacts.download)
    download_all = call(artifacts.download_all)
    read = call(artifacts.read)


class Batches(Resource):
    """Submits many jobs at once, and follows them together."""

    submit = call(batches.submit)
    submit_file = call(batches.submit_file)
    submit_csv = call(batches.submit_csv)
    get = call(batches.get)
    tasks = iterate(batches.tasks)
    results = iterate(batches.results)
    wait = call(batches.wait)
    events = iterate(batches.watch)
    cancel = call(batches.cancel)
    retry = call(batches.retry)


class Assets(Resource):
    """Uploads the files that scripts use, and keeps order among them."""

    upload = call(assets.upload)
    list = iterate(assets.listed)
    get = call(assets.get)
    download = call(assets.download)
    delete = call(assets.delete)


class Uploads(Resource):
    """The steps of a resumable upload, for whoever sends the pieces. `assets.upload` takes all of them."""

    create = call(assets.begin_upload)
    offset = call(assets.upload_offset)
    append = call(assets.append)
    delete = call(assets.end_upload)


class Templates(Resource):
    """Stores scripts with fields, in versions."""

    list = iterate(library.templates)
    get = call(library.template)
    put = call(library.put_template)
    delete = call(library.delete_template)
    versions = iterate(library.template_versions)


class Themes(Resource):
    """The themes that a script may name."""

    list = call(library.themes)


class Voices(Resource):
    """The voices that a script may name."""

    list = call(library.voices)


class Webhooks(Resource):
    """Deliveries to webhooks, and the secret that signs them."""

    deliveries = iterate(webhooks.deliveries)
    delivery = call(webhooks.delivery)
    resend = call(webhooks.resend)
    secret = call(webhooks.secret)
    rotate_secret = call(webhooks.rotate_secret)


class Keys(Resource):
    """The account's API keys."""

    list = call(accounts.keys)
    create = call(accounts.create_key)
    revoke = call(accounts.revoke_key)


class Tokens(Resource):
    """Log-ins by OAuth 2.0. `TokenAuth` does it by itself."""

    create = call(accounts.create_token)
    refresh = call(accounts.refresh_token)
    revoke = call(accounts.revoke_token)


class Admin(Resource):
    """What operators do. The scope `admin` is needed."""

    accounts = iterate(admin.accounts)
    create_account = call(admin.create_account)
    change_account = call(admin.change_account)
    create_account_key = call(admin.create_account_key)
    users = call(admin.users)
    create_user = call(admin.create_user)
    change_user = call(admin.change_user)
    delete_user = call(admin.delete_user)
    one_time_password = call(admin.one_time_password)
    audit_events = iterate(admin.audit_events)
    queues = call(admin.queues)
    requeue = call(admin.requeue)
