"""A real mail server (aiosmtpd) with three doors: STARTTLS, TLS, and neither.

Usage: mail_server.py CA_FILE. Prints the doors' ports as a line of JSON, then each mail as another.
Whom it refuses is said by the mailbox's name. Ends when its standard input does.
"""

import asyncio
import json
import ssl
import sys

import trustme
from aiosmtpd.smtp import SMTP, AuthResult

REFUSED = {
    "nobody": "550 5.1.1 <{}>: no such user",
    "later": "451 4.3.0 come again",
    "full": "552 5.2.2 <{}> is full",
}


class Handler:
    async def handle_RCPT(self, server, session, envelope, address, options):
        refusal = REFUSED.get(address.split("@")[0])
        if refusal:
            return refusal.format(address)
        envelope.rcpt_tos.append(address)
        return "250 yes"

    async def handle_DATA(self, server, session, envelope):
        mail = envelope.content.decode()
        if "Subject: spam" in mail:
            return "554 5.7.1 that is spam"
        encrypted = server.transport.get_extra_info("cipher") is not None
        signed_in = session.authenticated
        said = {"to": envelope.rcpt_tos, "encrypted": encrypted, "signed_in": signed_in}
        print(json.dumps({**said, "mail": mail}), flush=True)
        return "250 taken"


def authenticate(server, session, envelope, mechanism, data):
    return AuthResult(success=(data.login, data.password) == (b"user", b"se:cret"), handled=False)


async def main():
    authority = trustme.CA()
    authority.cert_pem.write_to_path(sys.argv[1])
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    loop = asyncio.get_running_loop()
    signed = {"authenticator": authenticate, "auth_required": True, "loop": loop}
    ports = {}
    for door, settings, wrapped in [
        ("starttls", {**signed, "tls_context": context, "require_starttls": True}, None),
        ("tls", {**signed, "auth_require_tls": False}, context),
        ("plain", {"loop": loop}, None),
    ]:

        def talk(settings=settings):
            return SMTP(Handler(), **settings)

        server = await loop.create_server(talk, "127.0.0.1", 0, ssl=wrapped)
        ports[door] = server.sockets[0].getsockname()[1]
    print(json.dumps(ports), flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


asyncio.run(main())
