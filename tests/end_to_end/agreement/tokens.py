"""Writes tokens.json: a key set and tokens signed with it (HS256), for Envoy's jwt_authn filter in the tests.

python3 tests/end_to_end/agreement/tokens.py > tests/end_to_end/agreement/tokens.json
"""

import base64
import hashlib
import hmac
import json


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def token(key, claims):
    head = b64(json.dumps({"alg": "HS256", "typ": "JWT", "kid": "test"}).encode())
    signed = head + "." + b64(json.dumps(claims).encode())
    return signed + "." + b64(hmac.new(key, signed.encode(), hashlib.sha256).digest())


key = hashlib.sha256(b"a key for tests only").digest()
tokens = []
for number in range(40):
    claims = {"iss": "weir-tests", "sub": f"user|{number}", "uid": 10**number if number < 13 else number}
    if number % 5 == 0:
        claims["sub"] = ""
    if number % 7 == 0:
        claims["uid"] = number % 2 == 0
    tokens.append({"token": token(key, claims), "claims": claims})
keys = {"keys": [{"kty": "oct", "alg": "HS256", "kid": "test", "k": b64(key)}]}
print(json.dumps({"jwks": keys, "tokens": tokens}, indent=1))
