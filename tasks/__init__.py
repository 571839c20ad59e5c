"""What a worker does with a job. `registry` lists the Celery tasks; `script` writes scripts, `video` renders them."""
