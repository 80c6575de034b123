"""``python -m facility.local.proxy``: configurable-http-proxy as a facility runs it.

The port of configurable-http-proxy to Python has no TLS of its own; the handlers are
served here with the certificate of ``hub.tls_certificate``. The token comes from a
file and is never in argv.
"""

from __future__ import annotations

import ssl

from tornado.httpserver import HTTPServer
from tornado.ioloop import IOLoop

from facility.runtime import Runtime
from hub_config.front_proxy import FrontProxy


def main() -> None:
    """Serve until killed."""
    runtime = Runtime.from_environment()
    hub, ports = runtime.spec.hub, runtime.ports
    context = None
    if hub.tls_certificate is not None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(hub.tls_certificate, hub.tls_key)
    proxy = FrontProxy(
        {
            "auth_token": runtime.secret("proxy-token"),
            "error_target": f"http://127.0.0.1:{ports.hub_api}/hub/error",
            "x_forward": True,
        }
    )
    HTTPServer(proxy.proxy_app, ssl_options=context).listen(ports.hub, hub.bind)
    HTTPServer(proxy.api_app).listen(ports.proxy_api, "127.0.0.1")
    IOLoop.current().start()


if __name__ == "__main__":
    main()
