"""The calls of the asynchronous client, grouped. Each line binds a call of `scenemill.calls`, where its text is."""

from __future__ import annotations

from scenemill.calls import accounts, admin, artifacts, assets, batches, jobs, library, tasks, webhooks
from scenemill.core.binding import AsyncResource, async_call, async_iterate


class AsyncJobs(AsyncResource):
    """Submits jobs, or tells what would come of them."""

    submit = async_call(jobs.submit)
    dry_run = async_call(jobs.dry_run)
    estimate = async_call(jobs.estimate)


class AsyncTasks(AsyncResource):
    """Looks at tasks, follows them to their end, and fetches what they made."""

    get = async_call(tasks.get)
    list = async_iterate(tasks.listed)
    wait = async_call(tasks.wait)
    events = async_iterate(tasks.watch)
    cancel = async_call(tasks.cancel)
    retry = async_call(tasks.retry)
    delete = async_call(tasks.delete)
    download = async_call(artifacts.download)
    download_all = async_call(artifacts.download_all)
    read = async_call(artifacts.read)


class AsyncBatches(AsyncResource):
    """Submits many jobs at once, and follows them together."""

    submit = async_call(batches.submit)
    submit_file = async_call(batches.submit_file)
    submit_csv = async_call(batches.submit_csv)
    get = async_call(batches.get)
    tasks = async_iterate(batches.tasks)
    results = async_iterate(batches.results)
    wait = async_call(batches.wait)
    events = async_iterate(batches.watch)
    cancel = async_call(batches.cancel)
    retry = async_call(batches.retry)


class AsyncAssets(AsyncResource):
    """Uploads the files that scripts use, and keeps order among them."""

    upload = async_call(assets.upload)
    list = async_iterate(assets.listed)
    get = async_call(assets.get)
    download = async_call(assets.download)
    delete = async_call(assets.delete)


class AsyncUploads(AsyncResource):
    """The steps of a resumable upload, for whoever sends the pieces. `assets.upload` takes all of them."""

    create = async_call(assets.begin_upload)
    offset = async_call(assets.upload_offset)
    append = async_call(assets.append)
    delete = async_call(assets.end_upload)


class AsyncTemplates(AsyncResource):
    """Stores scripts with fields, in versions."""

    list = async_iterate(library.templates)
    get = async_call(library.template)
    put = async_call(library.put_template)
    delete = async_call(library.delete_template)
    versions = async_iterate(library.template_versions)


class AsyncThemes(AsyncResource):
    """The themes that a script may name."""

    list = async_call(library.themes)


class AsyncVoices(AsyncResource):
    """The voices that a script may name."""

    list = async_call(library.voices)


class AsyncWebhooks(AsyncResource):
    """Deliveries to webhooks, and the secret that signs them."""

    deliveries = async_iterate(webhooks.deliveries)
    delivery = async_call(webhooks.delivery)
    resend = async_call(webhooks.resend)
    secret = async_call(webhooks.secret)
    rotate_secret = async_call(webhooks.rotate_secret)


class AsyncKeys(AsyncResource):
    """The account's API keys."""

    list = async_call(accounts.keys)
    create = async_call(accounts.create_key)
    revoke = async_call(accounts.revoke_key)


class AsyncTokens(AsyncResource):
    """Log-ins by OAuth 2.0. `TokenAuth` does it by itself."""

    create = async_call(accounts.create_token)
    refresh = async_call(accounts.refresh_token)
    revoke = async_call(accounts.revoke_token)


class AsyncAdmin(AsyncResource):
    """What operators do. The scope `admin` is needed."""

    accounts = async_iterate(admin.accounts)
    create_account = async_call(admin.create_account)
    change_account = async_call(admin.change_account)
    create_account_key = async_call(admin.create_account_key)
    users = async_call(admin.users)
    create_user = async_call(admin.create_user)
    change_user = async_call(admin.change_user)
    delete_user = async_call(admin.delete_user)
    one_time_password = async_call(admin.one_time_password)
    audit_events = async_iterate(admin.audit_events)
    queues = async_call(admin.queues)
    requeue = async_call(admin.requeue)
