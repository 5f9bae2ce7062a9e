"""The example for ASGI servers: ``uvicorn shop.asgi:application``."""

import os

from django.core.asgi import get_asgi_application

from tetralto_visits.asgi import flush_on_shutdown

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")
application = flush_on_shutdown(get_asgi_application())
