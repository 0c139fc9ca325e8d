"""Horizon's local_settings.py."""

import os

DEBUG = False
ALLOWED_HOSTS = ["*"]
SECRET_KEY = "a secret of a test"
OPENSTACK_KEYSTONE_URL = os.environ["HORIZON_KEYSTONE"]
OPENSTACK_API_VERSIONS = {"identity": 3, "image": 2}
SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
COMPRESS_OFFLINE = True
STATIC_ROOT = os.environ["HORIZON_STATIC"]
POLICY_CHECK_FUNCTION = None
HORIZON_IMAGES_UPLOAD_MODE = "legacy"
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"err": {"class": "logging.StreamHandler"}},
    "root": {"handlers": ["err"], "level": "WARNING"},
}
