"""Prints the fixed buckets of tests/end_to_end/assignment.rs, by the XXH3 of the Python package xxhash (any version).

pip install xxhash; python3 tests/end_to_end/agreement/buckets.py
"""

import xxhash

USERS = ["ada", "grace", "alan@example.com", "2001:db8::1", "auth0|5f7c8ec7c33c6c004bbafe82", "hopper", "turing"]
for user in USERS:
    digest = xxhash.xxh3_64_intdigest(b"end-to-end\0route\0" + user.encode())
    print(user, digest * 1_000_000 >> 64)
