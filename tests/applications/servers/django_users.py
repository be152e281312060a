"""Django as docs/manual/application.md sets it up: it answers who somebody is, and takes a form of its own."""

import sys
from pathlib import Path
from wsgiref.simple_server import make_server

import django
from django.conf import settings

settings.configure(
    SECRET_KEY="of a test",
    ALLOWED_HOSTS=["localhost"],
    ROOT_URLCONF="__main__",
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": Path("users.sqlite3").resolve()}},
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions"],
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "__main__.GatewayUserMiddleware",
    ],
    AUTHENTICATION_BACKENDS=["django.contrib.auth.backends.RemoteUserBackend"],
    SECURE_PROXY_SSL_HEADER=("HTTP_X_FORWARDED_PROTO", "https"),
    LOGOUT_REDIRECT_URL="/.auth/logout",
)
django.setup()

# What follows needs the settings.
from django.contrib.auth.middleware import RemoteUserMiddleware
from django.contrib.auth.views import LogoutView
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application
from django.http import JsonResponse
from django.middleware.csrf import get_token
from django.urls import path


class GatewayUserMiddleware(RemoteUserMiddleware):
    header = "HTTP_REMOTE_USER"


def who(request):
    return JsonResponse(
        {
            "user": request.user.get_username(),
            "method": request.method,
            "url": request.build_absolute_uri(),
            "token": get_token(request),
        }
    )


urlpatterns = [path("", who), path("logout/", LogoutView.as_view())]

if __name__ == "__main__":
    call_command("migrate", verbosity=0)
    make_server("127.0.0.1", int(sys.argv[1]), get_wsgi_application()).serve_forever()
