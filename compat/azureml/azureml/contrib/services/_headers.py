# SPDX-License-Identifier: Apache-2.0
"""Headers of HTTP: names in any case, several values of one name."""


class Headers:
    """A list of (name, value) that is read like a dict."""

    def __init__(self, pairs=()):
        self._pairs = [(str(name), str(value)) for name, value in (pairs.items() if hasattr(pairs, "items") else pairs)]

    def items(self):
        return list(self._pairs)

    def keys(self):
        return [name for name, _ in self._pairs]

    def __iter__(self):
        return iter(self._pairs)

    def __len__(self):
        return len(self._pairs)

    def get_all(self, name):
        return [value for key, value in self._pairs if key.lower() == name.lower()]

    getlist = get_all

    def get(self, name, default=None, type=None):
        found = self.get_all(name)
        return default if not found else type(found[0]) if type else found[0]

    def __getitem__(self, name):
        found = self.get_all(name)
        if not found:
            raise KeyError(name)
        return found[0]

    def __contains__(self, name):
        return bool(self.get_all(name))

    def __setitem__(self, name, value):
        self.remove(name)
        self.add(name, value)

    def __delitem__(self, name):
        self.remove(name)

    def remove(self, name):
        self._pairs = [pair for pair in self._pairs if pair[0].lower() != name.lower()]

    def add(self, name, value):
        self._pairs.append((str(name), str(value)))

    add_header = add
