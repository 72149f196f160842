"""Files of other servers, where the user allows that (--allow-fetch): never of a private network.

A caller who gives an address lets this server ask in its place (request forgery). So every address that a
name stands for is checked, the connection goes to the one that was checked and not to what the name stands
for a moment later, and each redirection is checked anew.
"""

import asyncio
import ipaddress
import socket
from urllib.parse import SplitResult, urljoin, urlsplit

import httpx

from .errors import ApiError

_SECONDS = 30.0  # for all of it
_MOST_REDIRECTS = 3
_REDIRECTS = (301, 302, 303, 307, 308)
_MOST_LETTERS = 2048
# IPv6 networks that carry addresses of IPv4 within, which may be private.
_CARRYING = tuple(
    ipaddress.ip_network(each)
    for each in ("::/96", "64:ff9b::/96", "64:ff9b:1::/48", "2001::/32", "2002::/16")
)


async def fetch(address: str, field: str, most_bytes: int) -> bytes:
    """The file at an address.

    Args:
        field: of the request, for messages.

    Raises:
        ApiError: if it is no address of the public internet, or cannot be had within the limits.
    """
    try:
        async with asyncio.timeout(_SECONDS):
            for _ in range(_MOST_REDIRECTS + 1):
                found = await _one(address, field, most_bytes)
                if isinstance(found, bytes):
                    return found
                address = urljoin(address, found)
    except TimeoutError:
        raise _unfit(field, f"the file did not come within {_SECONDS:g} s") from None
    except (httpx.HTTPError, httpx.InvalidURL, OSError, UnicodeError):
        raise _unfit(field, "the file cannot be fetched") from None
    raise _unfit(field, f"more than {_MOST_REDIRECTS} redirections")


async def _one(address: str, field: str, most_bytes: int) -> bytes | str:
    """The content, or the address that it is at."""
    parts = _parts(address, field)
    ip = await _checked_address(parts.hostname or "", parts.port or _PORTS[parts.scheme], field)
    host = f"[{ip}]" if ":" in ip else ip
    port = f":{parts.port}" if parts.port else ""
    query = f"?{parts.query}" if parts.query else ""
    url = httpx.URL(f"{parts.scheme}://{host}{port}{parts.path or '/'}{query}")
    headers = {"Host": parts.netloc, "Accept": "image/*, video/*, audio/*", "Accept-Encoding": "identity"}
    # No proxy of the environment: it would look the name up by itself.
    async with httpx.AsyncClient(trust_env=False, follow_redirects=False, timeout=10.0) as client:
        request = client.build_request("GET", url, headers=headers)
        request.extensions["sni_hostname"] = parts.hostname
        answer = await client.send(request, stream=True)
        try:
            if answer.status_code in _REDIRECTS and "location" in answer.headers:
                return answer.headers["location"]
            if answer.status_code != 200:
                raise _unfit(field, f"the other server answers {answer.status_code}")
            content = bytearray()
            async for piece in answer.aiter_raw():
                content += piece
                if len(content) > most_bytes:
                    raise _unfit(field, f"the file has more than {most_bytes:,} bytes")
            return bytes(content)
        finally:
            await answer.aclose()


_PORTS = {"http": 80, "https": 443}


def _parts(address: str, field: str) -> SplitResult:
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError:
        raise _unfit(field, "that is no address") from None
    if len(address) > _MOST_LETTERS or parts.scheme not in _PORTS or not parts.hostname or port == 0:
        raise _unfit(field, "expected a data: URL, or one of http or https")
    if "@" in parts.netloc or not address.isascii() or not address.isprintable():
        raise _unfit(field, "an address with a user or with special characters is not fetched")
    return parts


async def _checked_address(host: str, port: int, field: str) -> str:
    """One of the addresses of a name, if all of them are public."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = [str(each[4][0]) for each in found]
    if not addresses or not all(is_public(each) for each in addresses):
        raise _unfit(field, "files of private networks are not fetched")
    return addresses[0]


def is_public(address: str) -> bool:
    """Whether an address is one of the public internet: not private, local, shared, reserved or multicast."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:  # with a zone, as fe80::1%eth0
        return False
    if isinstance(ip, ipaddress.IPv6Address) and (ip.ipv4_mapped or any(ip in each for each in _CARRYING)):
        return False
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


def _unfit(field: str, reason: str) -> ApiError:
    return ApiError(400, f"{field}: {reason}", "invalid_media", field)
